/**
 * The comparison over two canned servers: both get the same storm, and both are stopped whatever happens.
 *
 * Owns: the order and the ends of the two. Does not own: server processes (`test/faults/repro-server-process.test.ts`).
 */
import { afterEach, expect, test } from "vitest";
import type { ReproServer } from "../../../src/trace/repro/server-process.ts";
import { runRepro } from "../../../src/trace/repro.ts";
import { pipelineShapes } from "../../../src/trace/storm/shapes.ts";
import { type CannedBehaviour, encodeReplies, startCannedServer } from "../../support/canned-server.ts";

const choice = { seed: 4, shapes: pipelineShapes, splits: ["whole"] } as const;
const options = { clients: 1, seconds: 0.2, seed: 4, splits: choice.splits, signal: new AbortController().signal };
const running = new Set<string>();

afterEach(() => {
  expect([...running]).toEqual([]);
});

function target(name: string, behaviour: CannedBehaviour = {}, ended: Promise<string> = new Promise(() => {})) {
  return async (): Promise<ReproServer> => {
    const server = await startCannedServer(choice, behaviour);
    running.add(name);
    const stop = async () => {
      await server.stop();
      running.delete(name);
    };
    return { address: server.address, ended, stop };
  };
}

const wrong: CannedBehaviour = { answer: () => encodeReplies([{ type: "Z", status: "I" }]) };

test("over canned servers, the stock library's storm comes first and each has its own counts", async () => {
  const order: string[] = [];
  const report = await runRepro(
    { stock: target("stock", wrong), patched: target("patched", { answer: () => "silence", answersWatch: false }) },
    { ...options, silenceMs: 1000, onProgress: (name) => order.push(name) },
  );
  expect(report.stock.kinds.wrongRows).toBeGreaterThan(0);
  expect(report.patched.kinds).toMatchObject({ wrongRows: 0, noAnswer: 1 });
  expect(report.patched.stopped).toMatch(/stopped answering/);
  expect([...new Set(order)]).toEqual(["stock", "patched"]);
  expect(report.stock.seed).toBe(report.patched.seed);
});

test("over canned servers, a server that does not start stops the other one", async () => {
  const failing = () => Promise.reject(new Error("no memory"));
  await expect(runRepro({ stock: target("stock"), patched: failing }, options)).rejects.toThrow("no memory");
  await expect(runRepro({ stock: failing, patched: target("patched") }, options)).rejects.toThrow("no memory");
});

test("over canned servers, an abort in the middle of a storm rejects with its reason", async () => {
  const abort = new AbortController();
  const reason = new Error("Ctrl-C");
  const stock = target("stock", { answer: () => void abort.abort(reason) });
  const run = runRepro({ stock, patched: target("patched") }, { ...options, seconds: 3600, signal: abort.signal });
  await expect(run).rejects.toBe(reason);
});

test("over canned servers, the end of a server's process ends its storm and is told", async () => {
  const ended = Promise.resolve("its process ended (SIGSEGV)");
  const servers = { stock: target("stock", {}, ended), patched: target("patched", {}, ended) };
  const report = await runRepro(servers, { ...options, seconds: 3600 });
  expect(report.stock.stopped).toBe("its process ended (SIGSEGV)");
  expect(report.patched.stopped).toBe("its process ended (SIGSEGV)");
});
