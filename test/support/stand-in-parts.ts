/**
 * A stand-in for the engine and the listener, for tests of starting and stopping.
 *
 * Owns: a record of what was opened and closed, and a way to hold or fail each step. Does not own: the start itself,
 * which is the real one.
 * Invariant: its listener is a real socket that answers `select 1`, so that readiness is the real check.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { OpenParts } from "../../src/dev-db/open.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Transport } from "../../src/engine/listener.ts";

/** The places where a test can hold a start or let it fail. */
export type Place = "open engine" | "listen" | "answer";

/** What happens at a place: an error, or a promise to wait for. */
type Disturbance = Error | Promise<void>;

/** Parts whose every step is recorded. */
export interface StandIn {
  readonly parts: OpenParts;
  /** For example `open engine 1`, `opened engine 1`, `close engine 1`, in the order in which they happened. */
  readonly events: string[];
  /** What happens at a place, each entry once. */
  readonly disturbances: Partial<Record<Place, Disturbance>>;
  /** Errors of closing, by `engine` or `listener`. */
  readonly closeErrors: { engine?: Error; listener?: Error };
  /** Names of things that are open. */
  open(): string[];
}

/** Makes a stand-in; nothing is opened yet. */
export function standIn(): StandIn {
  const events: string[] = [];
  const disturbances: StandIn["disturbances"] = {};
  const closeErrors: StandIn["closeErrors"] = {};
  let count = 0;
  const disturb = async (place: Place) => {
    const disturbance = disturbances[place];
    delete disturbances[place];
    if (disturbance instanceof Error) throw disturbance;
    await disturbance;
  };
  return {
    events,
    disturbances,
    closeErrors,
    open: () =>
      events
        .filter((event) => event.startsWith("opened "))
        .map((event) => event.slice("opened ".length))
        .filter((thing) => !events.includes(`closed ${thing}`)),
    parts: {
      async openEngine() {
        const name = `engine ${++count}`;
        events.push(`open ${name}`);
        await disturb("open engine");
        events.push(`opened ${name}`);
        return { serverVersion: "18.0", close: closer(name, events, () => closeErrors.engine) } as Engine;
      },
      async listen(_engine, { host, maxConnections }) {
        const name = `listener ${count}`;
        events.push(`open ${name}`);
        await disturb("listen");
        const server = await answerSelectOne(host, () => disturb("answer"));
        events.push(`opened ${name}`);
        const close = closer(name, events, () => closeErrors.listener);
        return {
          host,
          port: (server.address() as { port: number }).port,
          socketDir: undefined,
          stop: async () => {
            await new Promise((resolve) => server.close(resolve));
            await close();
          },
          stats: async () => ({ activeConnections: 0, queuedQueries: 0, maxConnections, connections: [] }),
        } satisfies Transport;
      },
    },
  };
}

function closer(name: string, events: string[], error: () => Error | undefined): () => Promise<void> {
  return async () => {
    events.push(`close ${name}`);
    await new Promise((resolve) => setImmediate(resolve));
    events.push(`closed ${name}`);
    const failure = error();
    if (failure) throw failure;
  };
}

/** AuthenticationOk and ReadyForQuery for the first packet; RowDescription, DataRow, tag, ReadyForQuery for the second. */
async function answerSelectOne(host: string, disturb: () => Promise<void>): Promise<Server> {
  const ready = Buffer.from("5a0000000549", "hex");
  const login = Buffer.concat([Buffer.from("520000000800000000", "hex"), ready]);
  const row = Buffer.concat([
    Buffer.from("54000000060000", "hex"),
    Buffer.from("440000000b00010000000131", "hex"),
    Buffer.from("430000000d53454c454354203100", "hex"),
    ready,
  ]);
  const answer = async (socket: Socket) => {
    const answers = [login, row];
    for await (const _ of socket) {
      await disturb();
      const next = answers.shift();
      if (next) socket.write(next);
    }
  };
  const server = createServer((socket) => void answer(socket).catch(() => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return server;
}
