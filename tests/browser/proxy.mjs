// A TCP proxy before the host, so that the pages' connections can be lost.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  #server;
  #sockets = new Set();
  #away = false;

  /** Passes connections on to the host at this address. */
  static async start(baseUrl) {
    const { hostname, port } = new URL(baseUrl);
    const proxy = new Proxy();
    proxy.#server = createServer((near) =>
      proxy.#pass(near, connect(Number(port), hostname)),
    );
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    // Whatever comes of a test, it does not wait for this.
    proxy.#server.unref();
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Cuts all connections, and new ones until `back`. */
  away() {
    this.#away = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  back() {
    this.#away = false;
  }

  #pass(near, far) {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(from);
      from.unref();
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    if (this.#away) near.resetAndDestroy();
  }
}
