// Around the games: what players do between them. One panel a feature, one panel at a time.
import type { Lobby } from "@scenehost/client";
import type { ComponentType } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import type { App } from "../app.js";
import { ProfilePanel } from "./profile.js";

/** What a panel is given: a lobby that is there, though its connection may be on its way back. */
export interface PanelProps {
  app: App;
  lobby: Lobby;
}

interface Tab {
  id: string;
  title: string;
  Panel: ComponentType<PanelProps>;
}

const tabs: readonly Tab[] = [{ id: "profile", title: "Profile", Panel: ProfilePanel }];

export function Hub({ app }: { app: App }) {
  const [chosen, setChosen] = useState(tabs[0]!.id);
  const { lobby } = app;
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => lobby?.on("service", () => redraw(undefined)), [lobby]);
  const { Panel } = tabs.find(({ id }) => id === chosen) ?? tabs[0]!;
  return (
    <section class="hub" aria-label="Around the games" data-testid="hub">
      <Tabs chosen={chosen} onChoose={setChosen} />
      <div class="hub-panel" role="tabpanel" id="hub-panel" aria-labelledby={`hub-tab-${chosen}`}>
        {lobby && !lobby.servicesDown.has("DB") ? (
          <Panel key={chosen} app={app} lobby={lobby} />
        ) : (
          <Closed connected={lobby !== undefined} />
        )}
      </div>
    </section>
  );
}

/** The panels need what the server stores. */
function Closed({ connected }: { connected: boolean }) {
  return (
    <p class="hub-closed" role="status" data-testid="hub-closed">
      {connected
        ? "The server cannot save anything right now, so this is closed for the moment. Games go on; this opens again by itself."
        : "This opens as soon as you are connected."}
    </p>
  );
}

function Tabs({ chosen, onChoose }: { chosen: string; onChoose: (id: string) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const step = (by: number) => {
    const now = tabs.findIndex(({ id }) => id === chosen);
    const next = tabs[(now + by + tabs.length) % tabs.length]!;
    onChoose(next.id);
    list.current?.querySelector<HTMLElement>(`#hub-tab-${next.id}`)?.focus();
  };
  return (
    <div
      ref={list}
      class="hub-tabs"
      role="tablist"
      aria-label="Around the games"
      onKeyDown={(event) => {
        if (event.key === "ArrowRight") step(1);
        if (event.key === "ArrowLeft") step(-1);
      }}
    >
      {tabs.map(({ id, title }) => (
        <button
          key={id}
          id={`hub-tab-${id}`}
          role="tab"
          type="button"
          aria-selected={id === chosen}
          aria-controls="hub-panel"
          tabIndex={id === chosen ? 0 : -1}
          data-testid={`hub-tab-${id}`}
          onClick={() => onChoose(id)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}
