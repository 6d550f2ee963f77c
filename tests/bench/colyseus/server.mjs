// Colyseus under the measured load: a room as its documentation advises for a game that sends its
// own messages: raw bytes in `onMessageBytes`, state kept per player, a simulation interval of
// 50 ms that broadcasts the bytes received since the last one, no state synchronisation.
//
// `node server.mjs PORT`. `POST /bench/rooms {"count": 1}` makes rooms without players that stay.
import { createEndpoint, createRouter, defineRoom, defineServer, matchMaker, Room } from "@colyseus/core";

const PLAYERS = 4;
const TICK_MS = 50;

class BenchRoom extends Room {
  maxClients = PLAYERS;
  players = new Map();
  received = [];

  onCreate({ keep }) {
    this.autoDispose = keep !== true;
    this.onMessageBytes("m", (client, bytes) => {
      const player = this.players.get(client.sessionId);
      player.sequence = bytes.readUInt32LE(12);
      player.count += 1;
      const turn = (player.sequence * 0.1) % 2;
      player.x += 1 - turn;
      player.y += turn;
      this.received.push(bytes);
    });
    this.setSimulationInterval(() => this.tick(), TICK_MS);
    // After the interval: otherwise a second timer keeps the clock.
    this.patchRate = null;
  }

  onJoin(client) {
    this.players.set(client.sessionId, { sequence: 0, count: 0, x: 0, y: 0 });
  }

  onLeave(client) {
    this.players.delete(client.sessionId);
  }

  tick() {
    if (this.received.length > 0) {
      this.broadcastBytes("m", Buffer.concat(this.received), {});
      this.received = [];
    }
  }
}

const makeRooms = createEndpoint("/bench/rooms", { method: "POST" }, async ({ body: { count } }) => {
  for (let made = 0; made < count; made += 1) {
    await matchMaker.createRoom("bench", { keep: true });
  }
  const body = JSON.stringify({ created: count });
  return new Response(body, { headers: { "content-length": String(body.length) } });
});

const server = defineServer({
  greet: false,
  rooms: { bench: defineRoom(BenchRoom) },
  routes: createRouter({ makeRooms }),
});
await server.listen(Number(process.argv[2]), "127.0.0.1");
