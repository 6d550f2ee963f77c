// The line on top of every view: what this is, who plays, and how the host is.
import type { Lobby, ServiceName } from "@scenehost/client";
import type { App, View } from "../app.js";
import { Bell } from "../hub/bell.js";
import { Brand } from "./brand.js";

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
      <Brand />
      <span class="top-side">
        <Services app={app} />
        {app.around && <Bell around={app.around} />}
      </span>
    </header>
  );
}

type State = readonly [state: "wait" | "down" | "up", text: string];

function stateOf(lobby: Lobby): State {
  if (lobby.dropped) return ["wait", "Reconnecting"];
  const down = [...lobby.servicesDown].map((service) => serviceTitles[service]);
  return down.length > 0 ? ["down", `${down.join(", ")} down`] : ["up", "All services up"];
}

/** Without a lobby: two views are on the way to one. */
function stateWithout({ at }: View): State {
  const connecting = at === "connecting" || at === "waiting";
  return connecting ? ["wait", "Connecting"] : ["down", "Not connected"];
}

function Services({ app }: { app: App }) {
  const { lobby } = app;
  const [state, text] = lobby ? stateOf(lobby) : stateWithout(app.view);
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
