// A TCP proxy that cuts connections, as broken networks do: a reset, and no word of WebSocket.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** How many connections were cut. */
  cutCount = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Begins to pass connections on to this address. */
  static async start(host: string, port: number): Promise<Proxy> {
    const server = createServer((near) => {
      const far = connect(port, host);
      near.setNoDelay();
      far.setNoDelay();
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        proxy.#sockets.add(from);
        from.pipe(to);
        from.on("error", () => to.destroy());
        from.on("close", () => {
          proxy.#sockets.delete(from);
          to.destroy();
        });
      }
    });
    const proxy = new Proxy(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  url(path: string): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Cuts all that goes through here. */
  cut(): void {
    this.cutCount += this.#sockets.size / 2;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }
}
