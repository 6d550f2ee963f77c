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

export interface Codec {
  subprotocol: string;
  encode(request: number, body: ClientBody): string | Uint8Array<ArrayBuffer>;
  /** Throws when the message is not a frame. */
  decode(data: unknown): ServerFrame;
}

export const codecs: Record<Encoding, Codec> = {
  proto: {
    subprotocol: "scenehost.v1.proto",
    encode: (request, body) =>
      toBinary(ClientFrameSchema, create(ClientFrameSchema, { request, body })),
    decode(data) {
      if (!(data instanceof ArrayBuffer)) throw new TypeError("expected a binary message");
      return fromBinary(ServerFrameSchema, new Uint8Array(data));
    },
  },
  json: {
    subprotocol: "scenehost.v1.json",
    encode: (request, body) =>
      toJsonString(ClientFrameSchema, create(ClientFrameSchema, { request, body })),
    decode(data) {
      if (typeof data !== "string") throw new TypeError("expected a text message");
      return fromJsonString(ServerFrameSchema, data, { ignoreUnknownFields: true });
    },
  },
};
