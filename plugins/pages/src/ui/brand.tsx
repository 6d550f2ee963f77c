// The name of these pages, on top of each.
export function Brand() {
  return (
    <span class="brand">
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M6 13V9a3 3 0 0 1 3-3h4M19 6h4a3 3 0 0 1 3 3v4M26 19v4a3 3 0 0 1-3 3h-4M13 26H9a3 3 0 0 1-3-3v-4" />
        <circle cx="16" cy="16" r="4.8" />
      </svg>
      Scenehost
    </span>
  );
}
