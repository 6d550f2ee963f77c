// How a feature asks the lobby: a request, and the one kind of answer that it has.
import type { ClientBody } from "../codec.js";
import type { BodyName, BodyValue } from "../line.js";

/** Throws `Refused`, `TimedOut`, `OutcomeUnknown`, `Closed` or `Overflow`. */
export type Ask = <N extends BodyName>(body: ClientBody, answer: N) => Promise<BodyValue<N>>;
