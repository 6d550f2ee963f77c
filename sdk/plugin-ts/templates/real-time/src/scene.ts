// {{name}}: a race for coins for two to four players, in real time. Change it into your game.
//
// The host calls `tick` at the fleet's tick rate. The fields are the scene's whole state: what is not in them is lost
// when the scene is moved or loaded.
import {
  configured,
  exportScene,
  integer,
  object,
  optional,
  Scene,
  tagged,
  type Context,
  type Init,
  type Player,
  type Random,
  type Read,
  type Seat,
} from "@scenehost/plugin";

/** The field is a square of this length. */
const FIELD = 100;
/** How far a player runs in a second. */
const SPEED = 30;
/** How near a player has to come to a coin. */
const REACH = 4;
/** How many coins lie on the field. */
const COINS = 5;

/** What players send: where they want to run, each of -1, 0 and 1. What is anything else never reaches `message`. */
const request = tagged({
  run: { x: integer(-1, 1), y: integer(-1, 1) },
});
export type Request = Read<typeof request>;

export type Point = [x: number, y: number];

/** What the scene sends in each tick. Who runs is said by seat. */
export type Reply = {
  type: "field";
  left_s: number;
  runners: { seat: Seat; at: Point; score: number }[];
  coins: Point[];
};

/** What a fleet can configure. */
const config = object({
  round_s: optional(integer(1, 3_600), 60),
});

/** A player on the field. */
interface Runner {
  at: Point;
  score: number;
  towards: Point;
}

export class Game extends Scene<Request, Reply> {
  static readonly requests = request;
  runners = new Map<Seat, Runner>();
  coins: Point[] = [];
  roundMs = 0;

  override start(init: Init, random: Random) {
    if (init.tickRateHz === 0) {
      throw new Error("this game needs a tick rate: set the fleet's tick_rate_hz, 20 is meant");
    }
    this.roundMs = configured(init, config).round_s * 1000;
    this.coins = Array.from({ length: COINS }, () => anywhere(random));
  }

  override joined(ctx: Context<Reply>, { seat }: Player) {
    this.runners.set(seat, { at: anywhere(ctx.random), score: 0, towards: [0, 0] });
  }

  override dropped(_ctx: Context<Reply>, seat: Seat) {
    this.#turn(seat, [0, 0]);
  }

  override left(_ctx: Context<Reply>, seat: Seat) {
    this.runners.delete(seat);
  }

  override message(_ctx: Context<Reply>, from: Seat, { x, y }: Request) {
    this.#turn(from, [x, y]);
  }

  override tick(ctx: Context<Reply>) {
    for (const runner of this.runners.values()) this.#run(ctx, runner);
    const leftMs = Math.max(this.roundMs - ctx.nowMs, 0);
    const runners = [...this.runners].map(([seat, { at, score }]) => ({ seat, at, score }));
    ctx.send("all", {
      type: "field",
      left_s: Math.ceil(leftMs / 1000),
      runners,
      coins: this.coins,
    });
    if (leftMs === 0) ctx.finish(this.#results());
  }

  #turn(seat: Seat, towards: Point) {
    const runner = this.runners.get(seat);
    if (runner) runner.towards = towards;
  }

  /** One step of a player, who takes the coins that are near then. */
  #run(ctx: Context<Reply>, runner: Runner) {
    const to = (axis: 0 | 1) => runner.at[axis] + runner.towards[axis] * SPEED * ctx.stepS;
    runner.at = [inside(to(0)), inside(to(1))];
    this.coins = this.coins.map((coin) => {
      if (distance(runner.at, coin) > REACH) return coin;
      runner.score += 1;
      return anywhere(ctx.random);
    });
  }

  /** Who has more coins is before who has fewer. */
  #results() {
    const scores = [...this.runners.values()].map(({ score }) => score);
    return [...this.runners].map(([seat, { score }]) => ({
      seat,
      place: 1 + scores.filter((other) => other > score).length,
      score,
    }));
  }
}

function anywhere(random: Random): Point {
  return [random.float() * FIELD, random.float() * FIELD];
}

function inside(at: number): number {
  return Math.min(Math.max(at, 0), FIELD);
}

function distance([x, y]: Point, [otherX, otherY]: Point): number {
  return Math.sqrt((x - otherX) ** 2 + (y - otherY) ** 2);
}

exportScene(Game);
