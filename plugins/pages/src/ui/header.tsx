// The line on top of every view: what this is, who plays, and how the host is.
import type { ServiceName } from "@scenehost/client";
import type { App } from "../app.js";

const serviceTitles: Record<ServiceName, string> = {
  SERVICE_UNSPECIFIED: "A service",
  AUTH: "Sign-in",
  LOBBY: "The lobby",
  MATCH: "Matching",
  SCENE_MASTER: "Scene control",
  SCENE_SERVICE: "Scene hosting",
  DB: "Storage",
};

export function Header({ app }: { app: App }) {
  return (
    <header class="top">
      <span class="brand">
        <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M6 13V9a3 3 0 0 1 3-3h4M19 6h4a3 3 0 0 1 3 3v4M26 19v4a3 3 0 0 1-3 3h-4M13 26H9a3 3 0 0 1-3-3v-4" />
          <circle cx="16" cy="16" r="4.8" />
        </svg>
        Scenehost
      </span>
      <Services app={app} />
    </header>
  );
}

function Services({ app }: { app: App }) {
  const { lobby } = app;
  const connecting = app.view.at === "connecting" || app.lobby?.dropped !== undefined;
  const down = lobby ? [...lobby.servicesDown].map((service) => serviceTitles[service]) : [];
  const [state, text] = connecting
    ? (["wait", lobby ? "Reconnecting" : "Connecting"] as const)
    : !lobby
      ? (["down", "Not connected"] as const)
      : down.length > 0
        ? (["down", `${down.join(", ")} down`] as const)
        : (["up", "All services up"] as const);
  return (
    <span
      class={`services services-${state}`}
      role="status"
      data-testid="services"
      data-state={state}
    >
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
