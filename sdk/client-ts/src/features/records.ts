// Stored records: what games keep for a user, or for themselves.
import { RecordReaders, type StoredRecord as RecordFrame } from "../gen/scenehost/v1/records_pb.js";
import type { Ask } from "./ask.js";

/** Who may read a record, besides its game. */
export type Readers = "owner" | "all" | "game";

/** Whose records are meant: one's own, the game's, or another user's by id. */
export type Owner = "own" | "game" | { readonly userId: string };

export interface StoredRecord {
  readonly key: string;
  /** In a format of the game's own. */
  readonly value: Uint8Array;
  /** Grows with every write. */
  readonly version: bigint;
  readonly readers: Readers;
  /** Only the game may write it. */
  readonly readOnly: boolean;
  readonly written: Date;
}

export interface RecordChange {
  /** 1 to 128 bytes. */
  readonly key: string;
  /** The new value; `null` removes the record. */
  readonly value: Uint8Array | null;
  /** Who may read it; as before if left out, at first only the owner. */
  readonly readers?: Readers;
  /** Only if the record has this version; `0n`: only if there is none. */
  readonly ifVersion?: bigint;
}

export class Records {
  readonly #ask: Ask;

  /** Made by `Lobby`; see `Lobby.records`. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The records with these keys, up to 32; those that are not there or not for you are left out. */
  async read(game: string, keys: readonly string[], owner: Owner = "own"): Promise<StoredRecord[]> {
    const ask = { case: "read" as const, value: { keys: [...keys] } };
    const value = { game, owner: ownerText(owner), ask };
    const { records } = await this.#ask({ case: "reqRecords", value }, "resRecords");
    return records.map(toRecord);
  }

  /** The keys of one's own records in a game, all of them, in their order. */
  async keys(game: string): Promise<string[]> {
    const all: string[] = [];
    for (;;) {
      const ask = { case: "list" as const, value: { after: all.at(-1) ?? "" } };
      const value = { game, ask };
      const { keys, more } = await this.#ask({ case: "reqRecords", value }, "resRecords");
      all.push(...keys);
      if (!more) return all;
    }
  }

  /**
   * Changes up to 32 of one's own records, together or not at all; gives their versions, `0n` for what
   * was removed. Refused with `CONFLICT` if one has not the version that its change depends on.
   */
  async write(game: string, changes: readonly RecordChange[]): Promise<bigint[]> {
    const frames = changes.map(({ key, value, readers, ifVersion }) => ({
      key,
      readers: readers ? RecordReaders[toReadersName(readers)] : RecordReaders.UNSPECIFIED,
      ...(value ? { value } : {}),
      ...(ifVersion === undefined ? {} : { ifVersion }),
    }));
    const ask = { case: "write" as const, value: { changes: frames } };
    const { versions } = await this.#ask(
      { case: "reqRecords", value: { game, ask } },
      "resRecords",
    );
    return versions;
  }
}

function ownerText(owner: Owner): string {
  if (owner === "own") return "";
  return owner === "game" ? "game" : owner.userId;
}

function toReadersName(readers: Readers): "OWNER" | "ALL" | "GAME" {
  return readers.toUpperCase() as "OWNER" | "ALL" | "GAME";
}

function toRecord({
  key,
  value,
  version,
  readers,
  readOnly,
  writtenMs,
}: RecordFrame): StoredRecord {
  return {
    key,
    value,
    version,
    readers: (RecordReaders[readers]?.toLowerCase() as Readers | undefined) ?? "owner",
    readOnly,
    written: new Date(Number(writtenMs)),
  };
}
