/** `trace shrink`: what is left is small, fails each time, and is cut at messages only. */
import { copyFileSync, existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkTrace } from "../../src/trace/check/check.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { readScript, type Step } from "../../src/trace/replay/script.ts";
import { joined, type Pieces, sizeOf, without } from "../../src/trace/shrink/pieces.ts";
import { shrinkScript } from "../../src/trace/shrink/shrink.ts";
import { slowly, Trials } from "../../src/trace/shrink/verdict.ts";
import { pipelineShapes } from "../../src/trace/storm/shapes.ts";
import { runStorm } from "../../src/trace/storm.ts";
import { encodeBind, encodeExecute, encodeParse, encodeQuery, encodeSync } from "../../src/wire/frontend.ts";
import { MessageReader } from "../../src/wire/message-reader.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { login, makeTrace, reply } from "./support/made-trace.ts";
import { startStock } from "./support/recorded.ts";

const base = { line: 0, came: new Map<number, number>(), pauseMs: 0, isAnswered: false };

function sends(connection: number, ...writes: Buffer[]): Step[] {
  return writes.map((bytes) => ({ kind: "send", connection, bytes, ...base }));
}

const logins = (...connections: number[]): Step[] =>
  connections.map((connection) => ({ kind: "connect", connection, parameters: {}, asksForGss: false, ...base }));

/** What a connection sends, as message types. */
function typesOf(steps: Pieces, connection: number): string {
  const reader = new MessageReader();
  const bytes = steps.flatMap((step) => (step.kind === "send" && step.connection === connection ? [step.bytes] : []));
  return reader
    .push(Buffer.concat(bytes))
    .map(({ type }) => type)
    .join("");
}

/** Three clients; the first one's pipeline is cut inside of a message. */
function script(): Step[] {
  const pipeline = Buffer.concat([
    encodeParse("", "select 1"),
    encodeBind("", "", []),
    encodeExecute(""),
    encodeSync(),
  ]);
  const [a1, a2] = sends(1, pipeline.subarray(0, 30), pipeline.subarray(30));
  const [b1, b2] = sends(2, encodeQuery("select 'needed'"), encodeQuery("select 'not'"));
  return [...logins(1, 2, 3), a1!, ...sends(3, encodeQuery("select 3")), b1!, a2!, b2!, ...sends(1, encodeSync())];
}

test("what is left is what the failure needs, in its order", async () => {
  const kind = "foreign answer";
  // It fails if connection 2 asks after the first one's Parse and before its Execute.
  const fails = async (steps: Pieces) => {
    const all = steps.map((step) =>
      step.kind === "send" ? `${step.connection}:${step.bytes.toString("latin1")}` : "",
    );
    const asks = all.findIndex((text) => text.startsWith("2:") && text.includes("needed"));
    const hasParsed = all.slice(0, asks).some((text) => text.startsWith("1:P"));
    return asks >= 0 && hasParsed && typesOf(steps.slice(asks), 1) !== "" && typesOf(steps, 1).includes("E")
      ? kind
      : undefined;
  };
  const smaller: number[] = [];
  const smallest = await shrinkScript(script(), kind, fails, (steps) => smaller.push(sizeOf(steps).bytes));
  expect(sizeOf(smallest)).toMatchObject({ connections: 2, writes: 3 });
  expect(sizeOf(smallest).frames).toBeLessThanOrEqual(4);
  expect(await fails(smallest)).toBe(kind);
  expect(smaller.length).toBeGreaterThan(2);
});

test("a script that fails now and then is not taken for one that fails", async () => {
  let times = 0;
  const fails = async (steps: Pieces) =>
    steps.length === script().length || times++ % 2 === 0 ? "torn pipeline" : undefined;
  expect(await shrinkScript(script(), "torn pipeline", fails, () => {})).toHaveLength(script().length);
});

test("whatever is left out, the messages that are left are whole", () => {
  const whole = typesOf(script(), 1);
  for (const by of ["connection", "pipeline", "write", "frame"] as const) {
    const candidates = [...without(script(), by)];
    expect(candidates.length).toBeGreaterThan(0);
    for (const steps of candidates) {
      expect(sizeOf(steps).bytes).toBeLessThan(sizeOf(script()).bytes);
      for (const connection of [1, 2, 3]) expect(typesOf(steps, connection)).toMatch(/^[PBESQ]*$/);
      expect(whole.length - typesOf(steps, 1).length).toBeGreaterThanOrEqual(0);
    }
  }
  for (const steps of joined(script())) {
    expect(sizeOf(steps)).toMatchObject({ bytes: sizeOf(script()).bytes, writes: sizeOf(script()).writes - 1 });
    expect(typesOf(steps, 1)).toBe(whole);
  }
});

/**
 * The commands of docs/microscope.md, in their order: a storm before the stock library is recorded, and made smaller. Whether one comes again when it is
 * replayed is the stock library's affair.
 */
async function shrunkStorm(): Promise<{ file: string; end: Awaited<ReturnType<typeof runCli>>; report: string }> {
  for (let storm = 1; ; storm++) {
    const seed = 1 + Math.floor(Math.random() * 1e6);
    const cwd = temporaryDirectory();
    const upstream = `postgresql://127.0.0.1:${await startStock()}`;
    const recording = startCli(["trace", "record", "storm.trace", "--listen", "0", "--upstream", upstream], { cwd });
    const [, port] = await recording.line(/recording 127\.0\.0\.1:(\d+) into /);
    await runStorm(
      { host: "127.0.0.1", port: Number(port) },
      { seed, queries: 120, shapes: pipelineShapes, silenceMs: 3000 },
    );
    recording.child.kill("SIGINT");
    expect(await recording.ended).toMatchObject({ code: 0, stderr: "" });
    const end = await runCli(["trace", "shrink", "storm.trace", "--against", "stock"], { cwd });
    const report = `storm ${storm}, seed ${seed}\n${end.stderr}${end.stdout}`;
    const isGone = end.code === 1 && end.stdout.includes("it does not fail");
    if (!isGone || storm === 5) return { file: join(cwd, "storm.trace"), end, report };
  }
}

test("a storm on the stock library: at most 12 frames that fail 20 of 20, and not here", { tags: "long" }, async () => {
  const { file, end, report } = await shrunkStorm();
  expect(end.code, report).toBe(0);
  const [, connections, writes, frames] = /^(\d+) connections?, (\d+) writes?, (\d+) frames?/.exec(end.stdout) ?? [];
  expect(Number(connections), report).toBe(2);
  expect(Number(writes), report).toBeGreaterThan(1);
  expect(Number(frames), report).toBeLessThanOrEqual(12);
  expect(end.stdout, report).toContain("fails 20 of 20 times against the stock library");
  const min = `${file}.min`;
  const shown = await runCli(["trace", "show", min]);
  expect(shown, report).toMatchObject({ code: 0, stderr: "" });
  const said = shown.stdout.match(/ F (?!StartupMessage)[A-Z]/g) ?? [];
  expect(said.length, report).toBeLessThanOrEqual(12);
  expect((await runCli(["trace", "check", min])).code, report).toBe(1);
  // Played to another server than the one that it was made smaller with: the same, each time.
  const target = { address: { host: "127.0.0.1", port: await startStock() }, parameters: {} };
  const { steps } = readScript(openTrace(min));
  const kind = [...checkTrace(openTrace(min))][0]?.kind;
  const trials = new Trials({
    target,
    renew: async function renew() {
      return { target: { ...target, address: { host: "127.0.0.1", port: await startStock() } }, renew, stop };
    },
    stop,
  });
  const kinds: unknown[] = [];
  for (let time = 0; time < 20; time++) kinds.push((await trials.run(steps, slowly))?.kind);
  expect(kinds, report).toEqual(Array(20).fill(kind));
  // Here the same bytes get their own answers.
  const here = await runCli(["trace", "shrink", min, "--against", "isolated"]);
  expect(here, report).toMatchObject({ code: 1, stdout: expect.stringContaining("it does not fail") });
});

/** The test's end ends them. */
async function stop(): Promise<void> {}

test("a trace in which nothing is wrong is not made smaller", async () => {
  const file = await makeTrace((trace) => {
    login(trace, 1);
    trace.tap(1, "frontend", encodeSync());
    trace.tap(1, "backend", reply.ready());
  });
  const end = await runCli(["trace", "shrink", file, "--against", "isolated"], { cwd: temporaryDirectory() });
  expect(end).toMatchObject({ code: 1, stdout: expect.stringContaining("finds nothing in this trace") });
  expect(await runCli(["trace", "shrink", join(temporaryDirectory(), "none"), "--against", "isolated"])).toMatchObject({
    code: 2,
  });
});

test("the trace itself is never written over, by whatever name and whichever part", async () => {
  const gallery = join(import.meta.dirname, "gallery");
  const trace = join(gallery, readdirSync(gallery).find((name) => name.endsWith(".trace"))!);
  const cwd = temporaryDirectory();
  for (const name of ["a.trace", "b.trace.1"]) copyFileSync(trace, join(cwd, name));
  symlinkSync("a.trace", join(cwd, "link"));
  for (const [file, output] of [
    ["a.trace", "./a.trace"],
    ["a.trace", "link"],
    ["b.trace.1", "b.trace"],
  ] as const) {
    const end = await runCli(["trace", "shrink", file, "--against", "isolated", "-o", output], { cwd });
    expect(end).toMatchObject({ code: 2, stderr: expect.stringContaining("is what is read; name another file") });
    expect(readFileSync(join(cwd, file))).toEqual(readFileSync(trace));
  }
  expect(existsSync(join(cwd, "b.trace"))).toBe(false);
});
