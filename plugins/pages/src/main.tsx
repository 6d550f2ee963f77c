// The entry of the pages: one app, one root.
import "@fontsource-variable/bricolage-grotesque/wght.css";
import "@fontsource-variable/geist/wght.css";
import "./styles/base.css";
import "./styles/home.css";
import "./styles/gomoku.css";
import "./styles/arena.css";
import { render } from "preact";
import { App } from "./app.js";
import { Root } from "./ui/root.js";

const app = new App();
render(<Root app={app} />, document.getElementById("app")!);
app.start();
