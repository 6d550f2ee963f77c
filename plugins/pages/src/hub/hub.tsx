// Around the games: what players do between them. One panel a feature, one panel at a time.
import type { ComponentType } from "preact";
import { useRef } from "preact/hooks";
import type { App } from "../app.js";
import { Store } from "../store.js";
import { useStore } from "../ui/use-store.js";
import type { Around } from "./around.js";
import { unreadOf } from "./chat-log.js";
import { ChatPanel } from "./chat.js";
import { FriendsPanel } from "./friends.js";
import { GuildPanel } from "./guild.js";
import { ProfilePanel } from "./profile.js";
import { RankingPanel } from "./ranking.js";
import { ShopPanel } from "./shop.js";

/** What a panel is given: a lobby that is there, though its connection may be on its way back. */
export interface PanelProps {
  app: App;
  around: Around;
}

interface Tab {
  id: string;
  title: string;
  Panel: ComponentType<PanelProps>;
  /** Shows that there is something new in it; nothing while there is not. */
  News?: ComponentType<{ around: Around }>;
}

const tabs: readonly Tab[] = [
  { id: "chat", title: "Chat", Panel: ChatPanel, News: ChatNews },
  { id: "friends", title: "Friends", Panel: FriendsPanel, News: FriendsNews },
  { id: "guild", title: "Guild", Panel: GuildPanel, News: GuildNews },
  { id: "ranking", title: "Ranking", Panel: RankingPanel },
  { id: "shop", title: "Shop", Panel: ShopPanel },
  { id: "profile", title: "Profile", Panel: ProfilePanel },
];

/** Of who is not connected. */
const noTab = new Store(tabs[0]!.id);

export function Hub({ app }: { app: App }) {
  const { around } = app;
  const chosen = useStore(around?.tab ?? noTab);
  const { Panel } = tabs.find(({ id }) => id === chosen) ?? tabs[0]!;
  return (
    <section class="hub" aria-label="Around the games" data-testid="hub">
      <Tabs chosen={chosen} around={around} />
      <div class="hub-panel" role="tabpanel" id="hub-panel" aria-labelledby={`hub-tab-${chosen}`}>
        {around && !around.lobby.servicesDown.has("DB") ? (
          <Panel key={chosen} app={app} around={around} />
        ) : (
          <Closed connected={around !== undefined} />
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

function ChatNews({ around }: { around: Around }) {
  const unread = unreadOf(useStore(around.talk.log));
  return unread > 0 ? (
    <span class="hub-dot" data-testid="hub-news-chat">
      <span class="hidden">, {unread} unread</span>
    </span>
  ) : null;
}

function FriendsNews({ around }: { around: Around }) {
  const waiting = useStore(around.friends.known).value?.received.length ?? 0;
  return waiting > 0 ? (
    <span class="hub-dot" data-testid="hub-news-friends">
      <span class="hidden">, {waiting} to answer</span>
    </span>
  ) : null;
}

function GuildNews({ around }: { around: Around }) {
  const membership = useStore(around.ownGuild.known).value;
  const waiting = membership
    ? membership.invites.length + (membership.guild?.requests.length ?? 0)
    : 0;
  return waiting > 0 ? (
    <span class="hub-dot" data-testid="hub-news-guild">
      <span class="hidden">, {waiting} to answer</span>
    </span>
  ) : null;
}

function Tabs({ chosen, around }: { chosen: string; around: Around | undefined }) {
  const list = useRef<HTMLDivElement>(null);
  const choose = (id: string) => (around?.tab ?? noTab).set(id);
  const step = (by: number) => {
    const now = tabs.findIndex(({ id }) => id === chosen);
    const next = tabs[(now + by + tabs.length) % tabs.length]!;
    choose(next.id);
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
      {tabs.map(({ id, title, News }) => (
        <button
          key={id}
          id={`hub-tab-${id}`}
          role="tab"
          type="button"
          aria-selected={id === chosen}
          aria-controls="hub-panel"
          tabIndex={id === chosen ? 0 : -1}
          data-testid={`hub-tab-${id}`}
          onClick={() => choose(id)}
        >
          {title}
          {News && around && id !== chosen && <News around={around} />}
        </button>
      ))}
    </div>
  );
}
