// What went wrong, and the way on.
import type { App } from "../app.js";
import type { Trouble } from "../trouble.js";

const actions: Record<Trouble["action"], { text: string; run: (app: App) => void }> = {
  retry: { text: "Try again", run: (app) => app.start() },
  lobby: { text: "Back to the games", run: (app) => app.home() },
};

export function TroubleView({ app, trouble }: { app: App; trouble: Trouble }) {
  return (
    <section class="card trouble" data-testid="trouble" role="alert">
      <svg class="trouble-mark" viewBox="0 0 48 48" aria-hidden="true">
        <circle cx="24" cy="24" r="21" />
        <path d="M24 14v13M24 33v.5" />
      </svg>
      <h1 data-testid="trouble-title">{trouble.title}</h1>
      <p data-testid="trouble-text">{trouble.text}</p>
      <button
        class="button primary"
        data-testid={trouble.action === "lobby" ? "back" : trouble.action}
        onClick={() => actions[trouble.action].run(app)}
      >
        {actions[trouble.action].text}
      </button>
    </section>
  );
}
