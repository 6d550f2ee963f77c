// A scripted server: each test says what it answers, frame by frame.
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { ConnectOptions } from "../src/index.js";
import {
  ClientFrameSchema,
  ServerFrameSchema,
  type ClientFrame,
} from "../src/gen/scenehost/v1/client_pb.js";

type ServerInit = MessageInitShape<typeof ServerFrameSchema>;

/** One client's connection, seen from the server. */
export class Peer {
  #seq = 0;
  constructor(
    readonly socket: WebSocket,
    readonly path: string,
  ) {}

  get json(): boolean {
    return this.socket.protocol === "scenehost.v1.json";
  }

  send(body: NonNullable<ServerInit["body"]>, request = 0, seq = ++this.#seq): void {
    const frame = create(ServerFrameSchema, { seq, request, body });
    this.socket.send(
      this.json ? toJsonString(ServerFrameSchema, frame) : toBinary(ServerFrameSchema, frame),
    );
  }
}

export type Script = (frame: ClientFrame, peer: Peer) => void;

export class Host {
  readonly #server: WebSocketServer;
  /** What every client sent, in the order of arrival. */
  readonly received: ClientFrame[] = [];

  private constructor(server: WebSocketServer, script: Script) {
    this.#server = server;
    server.on("connection", (socket, request) => {
      const peer = new Peer(socket, request.url ?? "");
      socket.on("message", (data: Buffer) => {
        const frame = peer.json
          ? fromJsonString(ClientFrameSchema, data.toString())
          : fromBinary(ClientFrameSchema, data);
        this.received.push(frame);
        script(frame, peer);
      });
    });
  }

  static async start(script: Script): Promise<Host> {
    const server = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    await once(server, "listening");
    return new Host(server, script);
  }

  url(path: string): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  stop(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }
}

/** Answers the first frames of both connections, and the rest by `more`. */
export function play(more: Script = () => {}): Script {
  return (frame, peer) => {
    switch (frame.body.case) {
      case "reqSignIn":
        return peer.send(
          {
            case: "resSignIn",
            value: {
              userId: "00000000000000aa",
              name: "Ada",
              sessionToken: "session",
              sessionExpiresMs: 1_900_000_000_000n,
            },
          },
          frame.request,
        );
      case "reqJoinScene":
        return peer.send(
          {
            case: "resJoinScene",
            value: {
              sceneId: "s1",
              domain: "gomoku",
              seat: 1,
              players: [
                { seat: 0, name: "Bob" },
                { seat: 1, name: "Ada" },
              ],
            },
          },
          frame.request,
        );
      default:
        more(frame, peer);
    }
  };
}

/** Options for tests: Node 20 has no WebSocket of its own, and nobody waits for long. */
export const options: ConnectOptions = {
  WebSocket: WebSocket as unknown as NonNullable<ConnectOptions["WebSocket"]>,
  requestDeadlineMs: 300,
};

export const guest = { guest: { deviceId: "0123456789abcdef", name: "Ada" } };
