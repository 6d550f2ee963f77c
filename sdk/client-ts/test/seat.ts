// A seat's line as the server keeps it: the schema's contract in a few lines, for the tests of a
// client that loses its connections. It echoes every message.
import { Code, type ClientFrame } from "../src/gen/scenehost/v1/client_pb.js";
import type { Peer } from "./host.js";

type Body = Parameters<Peer["send"]>[0];

export class Seat {
  /** Whoever has no seat any more is refused so. */
  refusing: { code: Code; retryAfterMs?: number } | undefined;
  /** Every message of the client that came over the line, as text. */
  readonly heard: string[] = [];
  /** How many frames are kept for a client that has missed them. */
  keptMax = 256;
  /** What the client said last of what has come. */
  seen = 0;
  #peer: Peer | undefined;
  #entered = false;
  #last = 0;
  #kept: { seq: number; body: Body }[] = [];

  /** The script of a host with this seat. */
  readonly script = (frame: ClientFrame, peer: Peer): void => {
    if (frame.body.case === "reqJoinScene") return this.#enter(frame, peer);
    // What comes over a connection that has been replaced is not heard.
    if (peer !== this.#peer) return;
    if (frame.seen > 0) this.#kept = this.#kept.filter(({ seq }) => seq > frame.seen);
    this.seen = frame.seen;
    switch (frame.body.case) {
      case "sceneMessage": {
        const text = new TextDecoder().decode(frame.body.value.body);
        this.heard.push(text);
        return this.tell(text);
      }
      case "reqLeaveScene":
        return peer.send({ case: "synSceneEnded", value: { reason: 3 } }, frame.request, 0);
      case "ping": {
        const { payload } = frame.body.value;
        const received = this.heard.length;
        return peer.send({ case: "pong", value: { payload, received } }, frame.request, 0);
      }
    }
  };

  /** Tells the client something of the game, now or at its return. */
  tell(text: string): void {
    const body = this.#keep(text);
    this.#peer?.send(body, 0, this.#last);
  }

  /** Tells something that gets lost on the way. */
  lose(text: string): void {
    this.#keep(text);
  }

  #keep(text: string): Body {
    const body = { case: "sceneMessage", value: { body: new TextEncoder().encode(text) } } as const;
    this.#kept.push({ seq: ++this.#last, body });
    this.#kept = this.#kept.slice(-this.keptMax);
    return body;
  }

  /** Cuts the connection of this seat only. */
  cut(): void {
    this.#peer?.socket.terminate();
  }

  /** Begins anew, as with another token. */
  forget(): void {
    this.#entered = false;
    this.#last = 0;
    this.#kept = [];
    this.heard.length = 0;
  }

  #enter(frame: ClientFrame, peer: Peer): void {
    if (this.refusing) {
      const { code, retryAfterMs = 0 } = this.refusing;
      const value = { code, text: "as the test wants it", retryAfterMs };
      return peer.send({ case: "refused", value }, frame.request, 0);
    }
    const { resumeSeq } = frame.body.value as { resumeSeq?: number };
    if (this.#entered && resumeSeq === undefined) {
      return peer.send({ case: "refused", value: { code: Code.BAD_TOKEN } }, frame.request, 0);
    }
    const missed = this.#kept.filter(({ seq }) => seq > (resumeSeq ?? 0));
    const resumed = this.#entered && missed.length === this.#last - (resumeSeq ?? 0);
    this.#entered = true;
    this.#peer = peer;
    if (!resumed) this.#kept = [];
    const [received, afterSeq] = [this.heard.length, resumed ? resumeSeq : this.#last];
    const numbers = { resumed, afterSeq: afterSeq ?? 0, received };
    const value = { sceneId: "s1", domain: "echo", seat: 0, ...numbers, graceMs: 1_000 };
    peer.send({ case: "resJoinScene", value }, frame.request, 0);
    if (resumed) for (const { seq, body } of missed) peer.send(body, 0, seq);
    else this.tell("the whole state");
  }
}
