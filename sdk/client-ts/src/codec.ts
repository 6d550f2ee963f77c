// Frames to and from WebSocket messages, in the two encodings of the one schema.
import {
  create,
  fromBinary,
  fromJsonString,
  toBinary,
  toJsonString,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  ClientFrameSchema,
  ServerFrameSchema,
  type ServerFrame,
} from "./gen/scenehost/v1/client_pb.js";

/** `proto` is compact; `json` can be read in the browser's tools. */
export type Encoding = "proto" | "json";

/** The body of a frame to the server. */
export type ClientBody = NonNullable<MessageInitShape<typeof ClientFrameSchema>["body"]>;

/** A frame to the server. */
export interface Outgoing {
  /** The number of a request; 0 for a frame that is none. */
  request: number;
  /** The number of the last frame that came; 0: none did. */
  seen: number;
  body: ClientBody;
}

export interface Codec {
  subprotocol: string;
  encode(frame: Outgoing): string | Uint8Array<ArrayBuffer>;
  /** Throws when the message is not a frame. */
  decode(data: unknown): ServerFrame;
}

export const codecs: Record<Encoding, Codec> = {
  proto: {
    subprotocol: "scenehost.v1.proto",
    encode: (frame) => toBinary(ClientFrameSchema, create(ClientFrameSchema, frame)),
    decode(data) {
      if (!(data instanceof ArrayBuffer)) throw new TypeError("expected a binary message");
      return fromBinary(ServerFrameSchema, new Uint8Array(data));
    },
  },
  json: {
    subprotocol: "scenehost.v1.json",
    encode: (frame) => toJsonString(ClientFrameSchema, create(ClientFrameSchema, frame)),
    decode(data) {
      if (typeof data !== "string") throw new TypeError("expected a text message");
      return fromJsonString(ServerFrameSchema, data, { ignoreUnknownFields: true });
    },
  },
};

/** The last number of a frame; after it comes 1. */
export const NUMBER_MAX = 0xffff_ffff;

/** How many bytes a frame to the server may have, whatever numbers it will bear. */
export function sizeOf(codec: Codec, body: ClientBody): number {
  const data = codec.encode({ request: NUMBER_MAX, seen: NUMBER_MAX, body });
  return typeof data === "string" ? new TextEncoder().encode(data).byteLength : data.byteLength;
}
