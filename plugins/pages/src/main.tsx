// The entry of the pages: one app, one root.
import "@fontsource-variable/bricolage-grotesque/wght.css";
import "@fontsource-variable/geist/wght.css";
import "./styles/base.css";
import "./styles/home.css";
import "./styles/gomoku.css";
import "./styles/arena.css";
import "./styles/hands.css";
import "./styles/account.css";
import "./styles/hub.css";
import "./styles/chat.css";
import "./styles/people.css";
import "./styles/party.css";
import "./styles/ranking.css";
import "./styles/running.css";
import { render } from "preact";
import { App } from "./app.js";
import { claim } from "./identity.js";
import { Root } from "./ui/root.js";

const app = new App();
render(<Root app={app} />, document.getElementById("app")!);
addEventListener("pagehide", () => app.hide());
// A page that the browser has kept and shows again has lost its connections.
addEventListener("pageshow", ({ persisted }) => persisted && app.start());
void claim().then(() => app.start());
