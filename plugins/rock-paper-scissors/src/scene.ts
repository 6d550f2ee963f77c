// Rock, paper, scissors for two, best of some rounds: a game in which both choose at the same time. It
// does not tick; a step comes with a choice, a timer, or a player who comes or goes.
//
// Invariant: what a player has chosen leaves this scene only when both have, or time is up.
import {
  configured,
  exportScene,
  integer,
  object,
  optional,
  Scene,
  Timer,
  type Context,
  type Init,
  type Player,
  type Read,
  type Seat,
} from "@scenehost/plugin";
import {
  request,
  type Both,
  type Phase,
  type Reason,
  type Refusal,
  type Reply,
  type Request,
  type Revealed,
  type Table,
} from "./messages.js";
import { winnerOf, type Hand } from "./rules.js";

/** Due when the phase is over: the time to choose, or the time to look at what was shown. */
const PHASE = Timer.named("phase");

/** Draws could go on for ever: after so many rounds for each that counts the match ends as it stands. */
const ROUNDS_FOR_EACH = 4;

/** After so many rounds in which nobody has chosen nobody plays any more. */
const IDLE_ROUNDS_MAX = 2;

/** What a fleet can configure. */
const config = object({
  /** Best of so many rounds. */
  rounds: optional(integer(1, 99), 5),
  /** How long players have to choose. */
  choose_ms: optional(integer(1_000, 600_000), 15_000),
  /** How long they see what was shown before the next round. */
  reveal_ms: optional(integer(0, 60_000), 2_500),
});

export class RockPaperScissors extends Scene<Request, Reply> {
  static readonly requests = request;

  config: Read<typeof config> = { rounds: 5, choose_ms: 15_000, reveal_ms: 2_500 };
  phase: Phase = "waiting";
  round = 1;
  choices: Both<Hand | null> = [null, null];
  last: Revealed | null = null;
  score: Both<number> = [0, 0];
  idleRounds = 0;
  /** When the phase ends. */
  untilMs = 0;
  names: Both<string> = ["", ""];

  override start(init: Init) {
    this.config = configured(init, config);
    for (const player of init.players.filter(({ seat }) => seat < 2)) {
      this.names[player.seat] = player.name;
    }
  }

  override admit({ seat }: Player): string | undefined {
    return seat > 1 ? "this table has two seats" : undefined;
  }

  override joined(ctx: Context<Reply>, { seat, name }: Player) {
    this.names[seat] = name;
    this.#came(ctx, seat);
  }

  /** Also where nothing was missed: how much time is left was said long ago. */
  override resumed(ctx: Context<Reply>, seat: Seat) {
    this.#came(ctx, seat);
  }

  /** Time goes on: who does not return in it has shown nothing. */
  override dropped(ctx: Context<Reply>, seat: Seat) {
    tell(ctx, { type: "presence", seat, present: false }, { allBut: seat });
  }

  override left(ctx: Context<Reply>, seat: Seat) {
    if (seat > 1) return; // was never admitted
    if (this.phase === "waiting") return ctx.finish();
    this.#over(ctx, other(seat), "left");
  }

  override message(ctx: Context<Reply>, from: Seat, request: Request) {
    if (request.type === "resign") {
      if (this.phase === "waiting") return refuse(ctx, from, "not_choosing");
      return this.#over(ctx, other(from), "resigned");
    }
    const refusal = this.#choose(ctx, from, request.round, request.hand);
    if (refusal) refuse(ctx, from, refusal);
  }

  override unreadable(ctx: Context<Reply>, from: Seat) {
    refuse(ctx, from, "unreadable");
  }

  override timer(ctx: Context<Reply>, timer: Timer) {
    // The timer of the phase before can come in the same step as what ended it.
    if (!timer.is(PHASE) || ctx.nowMs < this.untilMs) return;
    if (this.phase === "choosing") this.#reveal(ctx);
    else if (this.phase === "revealed") this.#begin(ctx);
  }

  override watched(ctx: Context<Reply>) {
    ctx.showWhole({ type: "state", ...this.#table(ctx) });
  }

  /** A player is inside, for the first time or again. The first round begins when both are. */
  #came(ctx: Context<Reply>, seat: Seat) {
    tell(ctx, { type: "presence", seat, present: true }, { allBut: seat });
    const both = ctx.isPresent(0) && ctx.isPresent(1);
    if (this.phase === "waiting" && both) this.#begin(ctx);
    else this.#tellState(ctx, seat);
  }

  /** Begins a round: the first one, or the one after a round that was revealed. */
  #begin(ctx: Context<Reply>) {
    if (this.phase === "revealed") this.round += 1;
    this.choices = [null, null];
    this.#enter(ctx, "choosing", this.config.choose_ms);
    ctx.showWhole({ type: "state", ...this.#table(ctx) });
    for (const { seat } of ctx.present()) this.#tellState(ctx, seat);
    const [one, two] = this.names;
    ctx.label({ players: `${one} – ${two}`, round: this.round, score: this.score.join(":") });
  }

  #choose(ctx: Context<Reply>, seat: Seat, round: number, hand: Hand): Refusal | undefined {
    if (this.phase !== "choosing") return "not_choosing";
    if (round !== this.round) return "other_round";
    if (this.choices[seat] !== null) return "chosen_already";
    this.choices[seat] = hand;
    tell(ctx, { type: "chosen", seat });
    if (!this.choices.includes(null)) this.#reveal(ctx);
    return undefined;
  }

  #reveal(ctx: Context<Reply>) {
    const hands = this.choices;
    const winner = winnerOf(...hands);
    if (winner !== null) this.score[winner] += 1;
    this.last = { hands: [...hands], winner };
    this.idleRounds = hands.every((hand) => hand === null) ? this.idleRounds + 1 : 0;
    tell(ctx, { type: "revealed", hands, winner, score: this.score });
    const end = this.#endAfter(winner);
    if (end) this.#over(ctx, end.winner, end.reason);
    else this.#enter(ctx, "revealed", this.config.reveal_ms);
  }

  /** Whether the match is over with this round. */
  #endAfter(winner: number | null): { winner: number | null; reason: Reason } | undefined {
    if (winner !== null && this.score[winner] === this.#target) return { winner, reason: "won" };
    if (this.idleRounds === IDLE_ROUNDS_MAX) return { winner: null, reason: "nobody_plays" };
    if (this.round < this.config.rounds * ROUNDS_FOR_EACH) return undefined;
    const [one, two] = this.score;
    const leader = one > two ? 0 : 1;
    return { winner: one === two ? null : leader, reason: "last_round" };
  }

  /** Who leaves or resigns loses, whatever the score is; a match that nobody plays is not decided. */
  #over(ctx: Context<Reply>, winner: number | null, reason: Reason) {
    tell(ctx, { type: "over", winner, reason, score: this.score });
    if (reason === "nobody_plays") return ctx.finish();
    const place = (seat: Seat) => (winner === null || winner === seat ? 1 : 2);
    ctx.finish(this.score.map((score, seat) => ({ seat, place: place(seat), score })));
  }

  #enter(ctx: Context<Reply>, phase: Phase, forMs: number) {
    this.phase = phase;
    this.untilMs = ctx.nowMs + forMs;
    ctx.setTimer(PHASE, forMs);
  }

  #tellState(ctx: Context<Reply>, seat: Seat) {
    const yours = this.choices[seat] ?? null;
    ctx.send(seat, { type: "state", yours, ...this.#table(ctx) });
  }

  #table(ctx: Context<Reply>): Table {
    const { phase, round, last, score, names } = this;
    return {
      phase,
      round,
      target: this.#target,
      left_ms: Math.max(this.untilMs - ctx.nowMs, 0),
      chosen: [this.choices[0] !== null, this.choices[1] !== null],
      last,
      score,
      present: [ctx.isPresent(0), ctx.isPresent(1)],
      names,
    };
  }

  get #target(): number {
    return Math.ceil((this.config.rounds + 1) / 2);
  }
}

/** Tells players, and those who watch. */
function tell(ctx: Context<Reply>, reply: Reply, to: "all" | { allBut: Seat } = "all") {
  ctx.show(reply);
  ctx.send(to, reply);
}

function refuse(ctx: Context<Reply>, seat: Seat, reason: Refusal) {
  ctx.send(seat, { type: "refused", reason });
}

function other(seat: Seat): Seat {
  return 1 - seat;
}

exportScene(RockPaperScissors);
