// What nobody can guess. `crypto.randomUUID` is there for safe origins only, this is everywhere.

/** 128 bits of a secure random source, in hexadecimal digits. */
export function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
