// The entry of the page that plays back a match. It talks to no game: all it knows is in the file.
import "@fontsource-variable/bricolage-grotesque/wght.css";
import "@fontsource-variable/geist/wght.css";
import "../styles/base.css";
import "../styles/gomoku.css";
import "../styles/arena.css";
import "../styles/replay.css";
import { render } from "preact";
import { Replay } from "./replay.js";

render(<Replay />, document.getElementById("app")!);
