// A scripted server: each test says what it answers, frame by frame.
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
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
  /** The number of the last frame; a test that goes on with a line sets it. */
  seq = 0;
  constructor(
    readonly socket: WebSocket,
    readonly path: string,
  ) {}

  get json(): boolean {
    return this.socket.protocol === "scenehost.v1.json";
  }

  send(body: NonNullable<ServerInit["body"]>, request = 0, seq = ++this.seq): void {
    const frame = create(ServerFrameSchema, { seq, request, body });
    this.socket.send(
      this.json ? toJsonString(ServerFrameSchema, frame) : toBinary(ServerFrameSchema, frame),
    );
  }
}

export type Script = (frame: ClientFrame, peer: Peer) => void;

/** What a call over HTTP is answered with. */
export type Answer = {
  status: number;
  json?: unknown;
  text?: string;
  headers?: Record<string, string>;
};
export type Calls = (call: string, token: string | undefined, body: unknown) => Answer;

export class Host {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  /** What every client sent, in the order of arrival. */
  readonly received: ClientFrame[] = [];
  /** How many connections were opened. */
  opened = 0;
  /** Replace it to change how the server answers. */
  script: Script;

  private constructor(server: Server, script: Script) {
    this.script = script;
    this.#server = server;
    this.#sockets = new WebSocketServer({
      server,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    this.#sockets.on("connection", (socket, request) => {
      this.opened += 1;
      const peer = new Peer(socket, request.url ?? "");
      socket.on("message", (data: Buffer) => {
        // What was read before a cut counts as lost with it.
        if (socket.readyState !== WebSocket.OPEN) return;
        const frame = peer.json
          ? fromJsonString(ClientFrameSchema, data.toString())
          : fromBinary(ClientFrameSchema, data);
        this.received.push(frame);
        this.script(frame, peer);
      });
    });
  }

  static async start(script: Script, calls: Calls = () => ({ status: 404, json: {} })) {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const text = Buffer.concat(parts).toString();
        const token = request.headers.authorization?.replace("Bearer ", "");
        const body: unknown = text && JSON.parse(text);
        const answer = calls(`${request.method} ${request.url}`, token, body);
        response.writeHead(answer.status, { connection: "close", ...answer.headers });
        const { json, text: words = "" } = answer;
        response.end(json === undefined ? words : JSON.stringify(json));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Host(server, script);
  }

  url(path: string): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Cuts every connection, as a broken network does: nobody says a word. */
  cut(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  /** The bodies that came, by name. */
  cases(): (string | undefined)[] {
    return this.received.map(({ body }) => body.case);
  }

  stop(): void {
    this.cut();
    this.#sockets.close();
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
          0,
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
          0,
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
  reconnect: { backOffMs: 2, backOffMsMax: 10, forMsMax: 2_000 },
};

/** Waits until it holds; a test that waits for too long fails. */
export async function until(what: string, holds: () => boolean, withinMs = 5_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const guest = { guest: { deviceId: "0123456789abcdef", name: "Ada" } };
