// Evaluated first in every component, so that no line of the game runs before it.
import { prepare } from "./guest.js";

prepare();
