// What the views of both games need to show a match at a moment.
import type { Moment, Told, Viewpoint } from "./viewpoint.js";

export interface StageProps {
  told: Told;
  viewpoint: Viewpoint;
  moment: Moment;
  isPlaying: boolean;
  /** Why nothing can be shown, where that is so. */
  missing: string;
}
