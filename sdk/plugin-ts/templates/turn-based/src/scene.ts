// {{name}}: two players take one to three sticks in turn, and who takes the last one wins.
//
// The fields are the scene's whole state: what is not in them is lost when the scene is moved or loaded.
import {
  configured,
  exportScene,
  integer,
  object,
  optional,
  Scene,
  tagged,
  Timer,
  type Context,
  type Init,
  type Player,
  type Random,
  type Read,
  type Seat,
} from "@scenehost/plugin";

/** What players send. What is anything else never reaches `message`. */
const request = tagged({
  take: { count: integer(1, 3) },
});
export type Request = Read<typeof request>;

/** What the scene sends. */
export type Reply =
  | { type: "state"; sticks: number; turn: Seat; names: string[]; begun: boolean }
  | { type: "refused"; reason: string }
  | { type: "over"; winner: Seat };

/** What a fleet can configure. */
const config = object({
  sticks: optional(integer(4, 100), 15),
  turn_ms: optional(integer(1_000, 600_000), 30_000),
});

/** Runs while somebody thinks. */
const TURN = Timer.named("turn");

export class Game extends Scene<Request, Reply> {
  static readonly requests = request;
  sticks = 0;
  turn: Seat = 0;
  turnMs = 0;
  names = ["", ""];
  begun = false;

  override start(init: Init, random: Random) {
    const { sticks, turn_ms } = configured(init, config);
    this.sticks = sticks;
    this.turnMs = turn_ms;
    this.turn = random.int(0, 1);
  }

  override admit({ seat }: Player) {
    return seat > 1 ? "this game is for two" : undefined;
  }

  override joined(ctx: Context<Reply>, { seat, name }: Player) {
    this.names[seat] = name;
    if (!this.begun && ctx.present().length === 2) {
      this.begun = true;
      ctx.setTimer(TURN, this.turnMs);
    }
    this.#tell(ctx);
  }

  override resumed(ctx: Context<Reply>) {
    this.#tell(ctx);
  }

  override left(ctx: Context<Reply>, seat: Seat) {
    if (this.begun) this.#over(ctx, 1 - seat);
    else ctx.finish();
  }

  override message(ctx: Context<Reply>, from: Seat, { count }: Request) {
    if (!this.begun || from !== this.turn) {
      return ctx.send(from, { type: "refused", reason: "it is not your turn" });
    }
    if (count > this.sticks) {
      return ctx.send(from, { type: "refused", reason: "there are not so many" });
    }
    this.sticks -= count;
    if (this.sticks === 0) return this.#over(ctx, from);
    this.turn = 1 - from;
    ctx.setTimer(TURN, this.turnMs);
    this.#tell(ctx);
  }

  /** Who thinks for too long loses. */
  override timer(ctx: Context<Reply>) {
    this.#over(ctx, 1 - this.turn);
  }

  #tell(ctx: Context<Reply>) {
    const { sticks, turn, names, begun } = this;
    ctx.send("all", { type: "state", sticks, turn, names, begun });
  }

  #over(ctx: Context<Reply>, winner: Seat) {
    ctx.send("all", { type: "over", winner });
    ctx.finish([
      { seat: winner, place: 1, score: 1 },
      { seat: 1 - winner, place: 2, score: 0 },
    ]);
  }
}

exportScene(Game);
