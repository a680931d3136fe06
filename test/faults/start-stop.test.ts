/**
 * Starting and stopping as one state machine: single flight, failures at every step, stops at every step, signals.
 *
 * The engine and the listener are stand-ins that record what was opened and closed; the start, the cleanup and the
 * readiness check are real.
 */
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { controlDevDb, type DevDbContext } from "../../src/dev-db/control.ts";
import { resolveOptions } from "../../src/options.ts";
import { type Place, standIn } from "../support/stand-in-parts.ts";
import { waitUntil } from "../support/wait-until.ts";

const options = resolveOptions({ library: { port: 0, migrations: "none" } });
const places: readonly Place[] = ["open engine", "listen", "answer"];

function setUp(context: DevDbContext = {}) {
  const fake = standIn();
  return { ...fake, control: controlDevDb(options, { ...context, parts: fake.parts }) };
}

function gate() {
  let release!: () => void;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { held, release };
}

const oneRound = (n: number) => [
  `open engine ${n}`,
  `opened engine ${n}`,
  `open listener ${n}`,
  `opened listener ${n}`,
  `close listener ${n}`,
  `closed listener ${n}`,
  `close engine ${n}`,
  `closed engine ${n}`,
];

describe("single flight (stand-in engine)", () => {
  test("callers that start at once share one start, and later ones what is running", async () => {
    const { control, events } = setUp();
    const [first, second] = await Promise.all([control.start(), control.start()]);
    expect(second).toBe(first);
    expect(await control.start()).toBe(first);
    await control.stop();
    expect(events).toEqual(oneRound(1));
  });

  test("stop, close and dispose share one close, in any number and order", async () => {
    const { control, events } = setUp();
    const db = await control.start();
    await Promise.all([control.stop(), db.close(), db[Symbol.asyncDispose](), control.stop()]);
    await db.close();
    expect(events).toEqual(oneRound(1));
  });

  test("stop without a start does nothing", async () => {
    const { control, events } = setUp();
    await control.stop();
    expect(events).toEqual([]);
  });

  test("a start during a stop begins when everything is closed", async () => {
    const { control, events } = setUp();
    await control.start();
    const stopping = control.stop();
    const again = control.start();
    await Promise.all([stopping, again]);
    await control.stop();
    expect(events).toEqual([...oneRound(1), ...oneRound(2)]);
  });

  test("a stop of a start that waits for an earlier stop waits for that as well", async () => {
    const { control, events } = setUp();
    await control.start();
    const stopping = control.stop();
    const again = control.start();
    await control.stop();
    expect(events).toEqual(oneRound(1));
    await expect(again).rejects.toThrow("stopped while it was starting");
    await stopping;
    expect(events).toEqual(oneRound(1));
  });

  test("a start after the handle was closed opens a new database", async () => {
    const { control, events } = setUp();
    const first = await control.start();
    await first.close();
    const second = await control.start();
    expect(second).not.toBe(first);
    await second.close();
    expect(events).toEqual([...oneRound(1), ...oneRound(2)]);
  });
});

describe.each(places)("a failure at %s (stand-in engine)", (place) => {
  test("closes what was opened before its error is seen, and a retry is a fresh start", async () => {
    const { control, disturbances, events, open } = setUp();
    const failure = new Error(`failing at ${place}`);
    disturbances[place] = failure;
    const starts = await Promise.allSettled([control.start(), control.start()]);
    expect(open()).toEqual([]);
    expect(starts.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const reasons = starts.map((start) => (start as PromiseRejectedResult).reason);
    // At "answer" it is the server that hangs up, so the error is the readiness check's own.
    if (place === "answer") expect(reasons[0].message).toContain("closed the connection");
    else expect(reasons[0]).toBe(failure);
    expect(reasons[1]).toBe(reasons[0]);

    const before = events.length;
    await control.start();
    await control.stop();
    expect(events.slice(before)).toEqual(oneRound(2));
  });

  test("a start that follows without waiting begins after the failed one has closed", async () => {
    const { control, disturbances, events, open } = setUp();
    disturbances[place] = new Error("failing");
    const failed = control.start();
    const retried = failed.catch(() => control.start());
    await retried;
    expect(open()).toEqual(["engine 2", "listener 2"]);
    const closed = events.indexOf("closed engine 1");
    expect(closed).toBeLessThan(events.indexOf("open engine 2"));
    await control.stop();
    expect(open()).toEqual([]);
  });
});

describe.each(places)("a stop while a start is at %s (stand-in engine)", (place) => {
  test("ends the start with an error, and has closed everything when it resolves", async () => {
    const { control, disturbances, events, open } = setUp();
    const { held, release } = gate();
    disturbances[place] = held;
    const starting = control.start();
    await waitUntil(`the start is at ${place}`, () => disturbances[place] === undefined);
    const outcome = starting.then(
      () => "started",
      (error: Error) => error.message,
    );
    const stopping = control.stop();
    release();
    await stopping;
    expect(events).toEqual(oneRound(1).filter((event) => place !== "open engine" || event.includes("engine")));
    expect(open()).toEqual([]);
    expect(await outcome).toBe("the database was stopped while it was starting");

    const before = events.length;
    await control.start();
    await control.stop();
    expect(events.slice(before)).toEqual(oneRound(2));
  });

  test("an abort does the same with its own reason, and lets go of the signal", async () => {
    const abort = new AbortController();
    const { control, disturbances, open } = setUp({ signal: abort.signal });
    const { held, release } = gate();
    disturbances[place] = held;
    const starting = control.start();
    starting.catch(() => {});
    await waitUntil(`the start is at ${place}`, () => disturbances[place] === undefined);
    const reason = new Error("no longer wanted");
    abort.abort(reason);
    release();
    await expect(starting).rejects.toBe(reason);
    expect(open()).toEqual([]);
    expect(getEventListeners(abort.signal, "abort")).toEqual([]);
  });
});

describe("signals (stand-in engine)", () => {
  test("a signal that is aborted already opens nothing", async () => {
    const reason = new Error("too late");
    const { control, events } = setUp({ signal: AbortSignal.abort(reason) });
    await expect(control.start()).rejects.toBe(reason);
    await expect(control.start()).rejects.toBe(reason);
    expect(events).toEqual([]);
  });

  test("an abort closes a running database", async () => {
    const abort = new AbortController();
    const { control, events } = setUp({ signal: abort.signal });
    await control.start();
    abort.abort();
    await control.stop();
    expect(events).toEqual(oneRound(1));
  });

  test("a closed database has let go of the signal", async () => {
    const { signal } = new AbortController();
    const { control } = setUp({ signal });
    const db = await control.start();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await db.close();
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("errors of closing (stand-in engine)", () => {
  test("a listener that cannot be closed does not keep the engine open, and stop says so", async () => {
    const { control, closeErrors, open } = setUp();
    closeErrors.listener = new Error("listener is stuck");
    await control.start();
    await expect(control.stop()).rejects.toThrow("listener is stuck");
    expect(open()).toEqual([]);
    delete closeErrors.listener;
    await control.start();
    await control.stop();
    expect(open()).toEqual([]);
  });

  test("after a failed start the error is the start's, and that of closing is logged", async () => {
    const lines: string[] = [];
    const { control, closeErrors, disturbances } = setUp({ log: (level, line) => lines.push(`${level} ${line}`) });
    closeErrors.engine = new Error("engine is stuck");
    disturbances.listen = new Error("no listener");
    await expect(control.start()).rejects.toThrow("no listener");
    expect(lines).toContain("error closing after a failed start: Error: engine is stuck");
  });
});
