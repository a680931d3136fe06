/** A listener whose engines die, also while it moves to one: on threads that only open and close a port. */
import { connect, createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { EngineWorker } from "../../../src/engine/engine-worker.ts";
import { KeptListener } from "../../../src/engine/kept-listener.ts";
import type { ListenOptions } from "../../../src/engine/listener.ts";

/** A thread that listens when it is asked to, and says hello. */
function livingThread() {
  let server: Server | undefined;
  const die = async () => void server?.close();
  onTestFinished(die);
  const listen = async ({ host, port }: ListenOptions) => {
    // As the engine thread does: what comes before is no listener yet.
    await new Promise((resolve) => setImmediate(resolve));
    const opened = createServer((socket) => void socket.end("hello"));
    server = opened;
    return new Promise<number>((resolve, reject) => {
      opened.once("error", reject);
      opened.listen(port, host, () => resolve((opened.address() as { port: number }).port));
    });
  };
  const ask = async (_kind: "listen", _listener: number, given: ListenOptions) => listen(given);
  const stopListening = async () => void server?.close();
  const worker = { ask, stopListening } as unknown as EngineWorker;
  return { worker, die, isListening: () => server?.listening === true };
}

/** One that dies of being asked to listen: its owner knows before whoever has asked does (`EngineWorker`). */
function dyingThread(onDeath: (worker: EngineWorker) => void): EngineWorker {
  const worker = {
    ask: async () => {
      onDeath(worker);
      throw new Error("PostgreSQL has crashed");
    },
  } as unknown as EngineWorker;
  return worker;
}

const options: ListenOptions = {
  ...{ host: "127.0.0.1", port: 0, maxConnections: 10 },
  ...{ idleTimeoutMs: 0, stallTimeoutMs: 0, transactionIdleTimeoutMs: 0 },
};

/** A listener whose first engine has died, and a client that waits there; `boot` is what it waits for. */
async function abandonedListener(boot = Promise.resolve()) {
  let hasCome = () => {};
  const come = new Promise<void>((resolve) => {
    hasCome = resolve;
  });
  const onWaiting = () => {
    hasCome();
    return boot;
  };
  const listener = new KeptListener(1, options, { onStopped: () => {}, onWaiting });
  onTestFinished(() => listener.stop());
  const { worker, die } = livingThread();
  await listener.listen(worker);
  await die();
  await listener.abandoned(worker);
  const early = told(listener.port).catch((error: Error) => error.message);
  await come;
  return { listener, early };
}

/** All that a client is told from its connection to its end. */
async function told(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  for await (const chunk of socket.setEncoding("latin1")) text += chunk;
  return text;
}

test("an engine that dies when it is to listen leaves the address, and who waits there, to the next one", async () => {
  const { listener, early } = await abandonedListener();
  const dying = dyingThread((worker) => void listener.abandoned(worker));
  await expect(listener.moveTo(dying)).rejects.toThrow("PostgreSQL has crashed");

  await listener.moveTo(livingThread().worker);
  expect(await early).toBe("hello");
  expect(await told(listener.port)).toBe("hello");
});

test("who waits for an engine that then does not start is told so", async () => {
  let fail = (_error: Error) => {};
  const boot = new Promise<void>((_, reject) => {
    fail = reject;
  });
  const { listener, early } = await abandonedListener(boot);
  const dying = dyingThread((worker) => void listener.abandoned(worker));
  await listener.moveTo(dying).catch(fail);
  expect(await early).toContain("C57P03");
});

test("one that is stopped while it moves does not listen any more", async () => {
  const { listener } = await abandonedListener();
  const { worker, die, isListening } = livingThread();
  const moving = listener.moveTo(worker);
  await listener.stop();
  await moving;
  expect(isListening()).toBe(false);
  await die();
});

test("no more clients than maxConnections wait; who comes behind them is told so", async () => {
  const { listener, early } = await abandonedListener();
  const waiting = Array.from({ length: options.maxConnections - 1 }, () => told(listener.port));
  expect(await told(listener.port)).toContain("C53300\0Msorry, too many clients already");
  await listener.moveTo(livingThread().worker);
  expect(await Promise.all([early, ...waiting])).toEqual(Array(options.maxConnections).fill("hello"));
});
