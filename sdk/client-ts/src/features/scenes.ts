// Games that are going on: the list of them, and how to watch one.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  FoundScene as FoundSceneFrame,
  LabelConditionSchema,
  LabelValueSchema,
} from "../gen/scenehost/v1/scenes_pb.js";
import type { Ask } from "./ask.js";

/** A game in the list. */
export interface FoundScene {
  readonly sceneId: string;
  /** Empty if it belongs to none. */
  readonly domain: string;
  /** How many hold a seat, and how many can. */
  readonly players: number;
  readonly playersMax: number;
  readonly spectators: number;
  /** How the game describes itself: an object, or `undefined` if it does not. Nothing checks its fields. */
  readonly label: Readonly<Record<string, unknown>> | undefined;
  readonly started: Date;
  readonly canJoin: boolean;
  readonly canWatch: boolean;
}

/** What a field of a label has to be: a value, one of some, or a number within bounds. */
export type LabelCondition =
  | string
  | number
  | boolean
  | readonly (string | number | boolean)[]
  | { readonly atLeast?: number; readonly atMost?: number };

export interface FindScenes {
  /** Only games of this domain. */
  domain?: string;
  /** Only those whose labels fit all of these, by the names of fields; at most 8. */
  label?: Readonly<Record<string, LabelCondition>>;
  /** Only those that can be joined, or watched, now. */
  joinable?: boolean;
  watchable?: boolean;
  /** How many at most, 1 to 50. Default: 20. */
  limit?: number;
  /** `next` of the page before. */
  after?: string;
}

/** A part of the list, the newest first. */
export interface FoundScenes {
  readonly scenes: readonly FoundScene[];
  /** Where to go on; `undefined`: that was the end. With it, there may be fewer scenes than asked for. */
  readonly next: string | undefined;
}

export async function findScenes(ask: Ask, find: FindScenes): Promise<FoundScenes> {
  const { domain = "", label = {}, joinable = false, watchable = false } = find;
  const { limit = 0, after = "" } = find;
  const conditions = Object.entries(label).map(([field, wanted]) => toCondition(field, wanted));
  const value = { domain, conditions, joinable, watchable, limit, after };
  const body = { ask: { case: "find" as const, value } };
  const { scenes, next } = await ask({ case: "reqScenes", value: body }, "resScenes");
  return { scenes: scenes.map(toFound), next: next || undefined };
}

type Scalar = string | number | boolean;

function toCondition(
  field: string,
  wanted: LabelCondition,
): MessageInitShape<typeof LabelConditionSchema> {
  if (typeof wanted !== "object") return { field, values: [toValue(wanted)] };
  if (isList(wanted)) return { field, values: wanted.map(toValue) };
  return { field, ...wanted };
}

function isList(wanted: LabelCondition & object): wanted is readonly Scalar[] {
  return Array.isArray(wanted);
}

function toValue(value: Scalar): MessageInitShape<typeof LabelValueSchema> {
  if (typeof value === "string") return { value: { case: "text", value } };
  if (typeof value === "number") return { value: { case: "number", value } };
  return { value: { case: "flag", value } };
}

function toFound(frame: FoundSceneFrame): FoundScene {
  const { sceneId, domain, players, playersMax, spectators, canJoin, canWatch } = frame;
  const started = new Date(Number(frame.startedMs));
  const label = parsed(frame.label);
  return {
    sceneId,
    domain,
    players,
    playersMax,
    spectators,
    label,
    started,
    canJoin,
    canWatch,
  };
}

function parsed(label: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(label);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
