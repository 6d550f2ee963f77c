// The client of Scenehost: `Lobby` signs in and finds matches, `Scene` is a seat in a game.
export type { ConnectOptions } from "./connection.js";
export { MESSAGE_BYTES_MAX } from "./connection.js";
export type { Encoding } from "./codec.js";
export type { Listener } from "./emitter.js";
export {
  Cancelled,
  Closed,
  Overflow,
  Refused,
  ScenehostError,
  TimedOut,
  type CloseKind,
  type CodeName,
} from "./errors.js";
export {
  Lobby,
  type Credential,
  type FindMatchOptions,
  type LobbyEvents,
  type Match,
  type MatchState,
  type ServiceName,
  type User,
} from "./lobby.js";
export {
  Scene,
  type EndReason,
  type JsonScene,
  type Player,
  type PlayerResult,
  type SceneEnd,
  type SceneEvents,
} from "./scene.js";
