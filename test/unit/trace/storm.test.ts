/**
 * The storm on a canned server: every fault is counted as what it is, once, and nothing makes the storm wait for ever.
 *
 * Owns: the faults that one client can meet. Does not own: real servers (`test/concurrency/storm.test.ts`).
 */
import { afterEach, expect, test } from "vitest";
import type { Reply } from "../../../src/trace/storm/exchange.ts";
import { type Corruption, corruptions } from "../../../src/trace/storm/judge.ts";
import { pipelineShapes } from "../../../src/trace/storm/shapes.ts";
import { runStorm, type StormReport } from "../../../src/trace/storm.ts";
import {
  type CannedAnswer,
  type CannedBehaviour,
  encodeReplies,
  startCannedServer,
} from "../../support/canned-server.ts";

const choice = {
  seed: 11,
  shapes: pipelineShapes,
  splits: ["whole"],
} as const;
const queries = 20;
const faultyQuery = 7;
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

async function storm(behaviour: CannedBehaviour, silenceMs = 10_000): Promise<StormReport & { logins: number }> {
  const server = await startCannedServer(choice, behaviour);
  stops.push(() => server.stop());
  const report = await runStorm(server.address, { ...choice, clients: 1, queries, silenceMs });
  return { ...report, logins: server.logins };
}

/** Another answer for one query; all others are right. */
function once(change: (right: readonly Reply[]) => CannedAnswer): CannedBehaviour {
  return { answer: (query, right) => (query === faultyQuery ? change(right) : undefined) };
}

function changeRow(change: (row: readonly (string | null)[]) => (string | null)[]) {
  return (right: readonly Reply[]) =>
    encodeReplies(right.map((reply) => (reply.type === "D" ? { ...reply, values: change(reply.values) } : reply)));
}

const error = (code: string): Reply => ({ type: "E", code });
const ready: Reply = { type: "Z", status: "I" };
const without = (type: string) => (right: readonly Reply[]) =>
  encodeReplies(right.filter((reply) => reply.type !== type));

test("over a canned server, right answers are right and one connection is enough", async () => {
  const report = await storm({});
  expect(report.examples).toEqual({});
  expect(report).toMatchObject({ total: queries, right: queries, corrupted: 0, refusedLogins: 0, logins: 1 });
  expect(report.stopped).toBeUndefined();
});

const faults: readonly [string, Corruption, (right: readonly Reply[]) => CannedAnswer][] = [
  ["a row with another value", "wrongRows", changeRow((row) => [row[0]!, "another", ...row.slice(2)])],
  [
    "a row of another client",
    "wrongRows",
    changeRow((row) => [row[0]!.replace("client 1", "client 2"), ...row.slice(1)]),
  ],
  ["a row with a value too few", "wrongRows", changeRow((row) => row.slice(1))],
  ["null for text", "wrongRows", changeRow((row) => [null, ...row.slice(1)])],
  ["no row", "wrongRows", without("D")],
  [
    "a row too many",
    "wrongRows",
    (right: readonly Reply[]) =>
      encodeReplies([...right.slice(0, -2), right.find(({ type }) => type === "D")!, ...right.slice(-2)]),
  ],
  ["only ReadyForQuery", "wrongRows", () => encodeReplies([ready])],
  ["no RowDescription", "outOfStep", without("T")],
  ["no CommandComplete", "outOfStep", without("C")],
  [
    "another count of columns",
    "outOfStep",
    (right: readonly Reply[]) =>
      encodeReplies(right.map((reply) => (reply.type === "T" ? { ...reply, columns: 9 } : reply))),
  ],
  [
    "another transaction status",
    "outOfStep",
    (right: readonly Reply[]) => encodeReplies([...right.slice(0, -1), { type: "Z", status: "T" }]),
  ],
  ["an error about a statement", "statementError", () => encodeReplies([error("08P01"), ready])],
  ["a missing statement", "statementError", () => encodeReplies([error("26000"), ready])],
  [
    "an error after right rows",
    "otherError",
    (right: readonly Reply[]) => encodeReplies([...right.slice(0, -1), error("XX000"), ready]),
  ],
  ["another error", "otherError", () => encodeReplies([error("22012"), ready])],
  ["an error and then the end of the connection", "otherError", () => ({ cutAfter: encodeReplies([error("57P01")]) })],
  ["the end of the connection", "connectionLost", () => ({ cutAfter: Buffer.alloc(0) })],
  [
    "the end of the connection after the rows",
    "connectionLost",
    (right: readonly Reply[]) => ({ cutAfter: encodeReplies(right.slice(0, -1)) }),
  ],
  ["bytes that are no message", "connectionLost", () => Buffer.alloc(20)],
  ["silence", "noAnswer", () => "silence"],
  ["half an answer", "noAnswer", (right: readonly Reply[]) => encodeReplies(right.slice(0, -2))],
];

test.each(faults)("over a canned server, %s is counted once, as %s", async (_, kind, change) => {
  const report = await storm(once(change));
  expect(report.kinds).toEqual({ ...Object.fromEntries(corruptions.map((each) => [each, 0])), [kind]: 1 });
  expect(report).toMatchObject({ total: queries, right: queries - 1, corrupted: 1 });
  expect(report.stopped).toBeUndefined();
  expect(report.examples[kind]).toMatch(/^client 1, query 7 \(.*, whole\): expected .*, got /);
});

test("over a canned server, an answer too many is found with the next query", async () => {
  const report = await storm(once((right) => encodeReplies([...right, ready])));
  expect(report).toMatchObject({ total: queries, corrupted: 1, logins: 2 });
  expect(report.examples.wrongRows).toMatch(/^client 1, query 8 /);
});

test("over a canned server, a client keeps its connection after a clean error, and takes a new one after a wrong row", async () => {
  expect((await storm(once(() => encodeReplies([error("22012"), ready])))).logins).toBe(1);
  expect((await storm(once(without("D")))).logins).toBe(2);
  const inFailedTransaction: Reply = { type: "Z", status: "E" };
  expect((await storm(once(() => encodeReplies([error("22012"), inFailedTransaction])))).logins).toBe(2);
});

test("over a canned server, a server that stops answering ends the storm", async () => {
  const report = await storm(
    { answer: (query) => (query >= faultyQuery ? "silence" : undefined), answersWatch: false },
    300,
  );
  expect(report.stopped).toMatch(/stopped answering/);
  expect(report.kinds.noAnswer).toBe(1);
  expect(report).toMatchObject({ right: faultyQuery, corrupted: 1, total: faultyQuery + 1 });
});

test("over a canned server, a server that lets nobody in ends the storm", async () => {
  const report = await storm({ refuses: "everybody" }, 300);
  expect(report.stopped).toMatch(/stopped answering/);
  expect(report.total).toBe(0);
  expect(report.refusedLogins).toBeGreaterThan(0);
});

test.each([
  ["does not answer the watch in time either", { answersWatch: false }],
  ["does not let the watch in", { refuses: "watch" }],
] as const)("over a canned server, a client waits on while a slow server %s", async (_, behaviour) => {
  const report = await storm({ ...behaviour, ...once((right) => ({ onceWatched: encodeReplies(right) })) });
  expect(report.examples).toEqual({});
  expect(report).toMatchObject({ total: queries, right: queries, logins: 1 });
});

test("over a canned server, an answer without an end is cut off", async () => {
  const endless = Buffer.concat(Array.from({ length: 12_000 }, () => encodeReplies([{ type: "D", values: ["x"] }])));
  const report = await storm(once(() => endless));
  expect(report.kinds.wrongRows).toBe(1);
  expect(report).toMatchObject({ total: queries, corrupted: 1 });
});

test("over a canned server, an aborted signal ends the storm with what was counted", async () => {
  const abort = new AbortController();
  const server = await startCannedServer(choice, {
    answer: (query) => {
      if (query === faultyQuery) abort.abort(new Error("enough"));
      return undefined;
    },
  });
  stops.push(() => server.stop());
  const report = await runStorm(server.address, { ...choice, clients: 1, seconds: 3600, signal: abort.signal });
  expect(report.stopped).toBe("enough");
  expect(report.right).toBe(faultyQuery);
});

test("a storm of no length, or of two, is refused", async () => {
  const address = { host: "127.0.0.1", port: 1 };
  await expect(runStorm(address, { seed: 1 })).rejects.toThrow(RangeError);
  await expect(runStorm(address, { seed: 1, queries: 1, seconds: 1 })).rejects.toThrow(RangeError);
});
