// The client of Scenehost: `Lobby` signs in and finds matches, `Scene` is a seat in a game.
export { Account, type AccountInfo, type SessionInfo } from "./account.js";
export type { Encoding } from "./codec.js";
export type { SocketOptions } from "./connection.js";
export type { Credential } from "./credential.js";
export type { Listener } from "./emitter.js";
export {
  Cancelled,
  Closed,
  OutcomeUnknown,
  Overflow,
  Refused,
  ScenehostError,
  TimedOut,
  type CloseKind,
  type CodeName,
} from "./errors.js";
export type { Chat, ChatChannel, ChatEvent, ChatMessage, ChatRoom } from "./features/chat.js";
export type {
  Friend,
  FriendChange,
  FriendListName,
  FriendPresence,
  Friends,
  Presence,
} from "./features/friends.js";
export type {
  Entry,
  Guild,
  GuildDatum,
  GuildEvent,
  Guilds,
  GuildSummary,
  Role,
} from "./features/guilds.js";
export type { EndReason, PlayerResult, SceneEnd } from "./game-line.js";
export type { Inbox, Notification, NotificationNews } from "./features/inbox.js";
export type {
  Domain,
  DomainProperty,
  DomainTeam,
  FoundMatch,
  MatchState,
  Wish,
} from "./features/matching.js";
export type {
  Parties,
  Party,
  PartyCheck,
  PartyEvent,
  PartyInvite,
  PartyMember,
} from "./features/party.js";
export type { Profile, ProfileChange, Profiles } from "./features/profiles.js";
export type { Owner, Readers, RecordChange, Records, StoredRecord } from "./features/records.js";
export type { FindScenes, FoundScene, FoundScenes, LabelCondition } from "./features/scenes.js";
export type { Amounts, LedgerEntry, Offer, Purchase, Shop, WalletChange } from "./features/shop.js";
export type {
  BoardPart,
  Leaderboard,
  LeaderboardPage,
  LeaderboardRow,
  MatchPlayer,
  PlayedMatch,
  RatingChange,
  Standing,
  UserRating,
} from "./features/standing.js";
export { MESSAGE_BYTES_MAX, type ConnectOptions, type Dropped, type Resumed } from "./line.js";
export {
  Lobby,
  type FindMatchOptions,
  type LobbyEvents,
  type LobbyOptions,
  type Match,
  type ServiceName,
  type User,
} from "./lobby.js";
export type { ReconnectOptions } from "./reconnect.js";
export { Scene, type JsonScene, type Player, type SceneEvents } from "./scene.js";
export type { Tokens } from "./session.js";
export { Spectator, type SpectatorEvents, type Watch } from "./spectator.js";
