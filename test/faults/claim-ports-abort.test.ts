import { spawn } from "node:child_process";
import { getEventListeners, once } from "node:events";
import { createServer, Server, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { claimPorts } from "../../src/testing/index.ts";
import { answersOn } from "../../src/testing/probe-port.ts";
import { close, type FreeRange, isFree, listenOn, reserveFreeRange } from "../support/free-range.ts";

const count = 2;
const reason = new Error("changed my mind");

let space: FreeRange;
let options: { range: { first: number; last: number }; startAt: number };

beforeEach(async () => {
  space = await reserveFreeRange();
  await noSocketIsOpen();
  options = { range: { first: space.first, last: space.last }, startAt: space.first };
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await space[Symbol.asyncDispose]();
});

/** Counts the timers from here on; they do not fire. The test runner's own are left out. */
function watchTimers(): () => number {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  return () => vi.getTimerCount();
}

/** Resolves when no socket keeps this process alive. An unreferenced listener is not among them: its port shows it. */
async function noSocketIsOpen(): Promise<void> {
  vi.useRealTimers();
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP"));
  await vi.waitFor(() => expect(sockets()).toEqual([]), { timeout: 45_000 });
}

/** Runs `onStep` before every connection attempt and every bind of the claim, with the number of the step. */
function watchSteps(onStep: (step: number) => void): () => number {
  let steps = 0;
  const step = () => onStep(++steps);
  const connect = Socket.prototype.connect as (...args: unknown[]) => Socket;
  vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket, ...args: unknown[]) {
    step();
    return connect.apply(this, args);
  });
  const listen = Server.prototype.listen as (...args: unknown[]) => Server;
  vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args: unknown[]) {
    step();
    return listen.apply(this, args);
  });
  return () => steps;
}

describe("an aborted signal ends a claim", () => {
  test("before it looks at any port, if it was aborted already", async () => {
    const steps = watchSteps(() => {});
    await expect(claimPorts(count, { ...options, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(steps()).toBe(0);
  });

  // Two connection attempts and two binds for each port.
  test.each(Array.from({ length: 4 * count }, (_, i) => i + 1))(
    "at its step %d, and nothing stays open",
    async (at) => {
      const timers = watchTimers();
      const controller = new AbortController();
      const steps = watchSteps((step) => {
        if (step === at) controller.abort(reason);
      });
      await expect(claimPorts(count, { ...options, signal: controller.signal })).rejects.toBe(reason);
      expect(steps()).toBe(at);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
      expect(timers()).toBe(0);
      vi.restoreAllMocks();
      await noSocketIsOpen();
      expect(await isFree(space.first, space.first + count - 1)).toBe(true);
    },
  );

  test("while it waits for an answer that never comes (mocked: connect does nothing)", async () => {
    const timers = watchTimers();
    vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
      return this;
    });
    const controller = new AbortController();
    const claiming = claimPorts(count, { ...options, signal: controller.signal });
    controller.abort(reason);
    await expect(claiming).rejects.toBe(reason);
    expect(timers()).toBe(0);
  });

  test("at a probe that begins with the signal aborted already", async () => {
    const steps = watchSteps(() => {});
    await expect(answersOn("127.0.0.1", space.first, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(steps()).toBe(0);
  });

  test("but not once it is made", async () => {
    const controller = new AbortController();
    await using claim = await claimPorts(count, { ...options, signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort(reason);
    await expect(listenOn("0.0.0.0", claim.ports[0]!)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

test("a claim leaves no socket and no timer behind, neither held nor released", async () => {
  const timers = watchTimers();
  const squatter = createServer(() => {}).listen(space.first + 1, "127.0.0.1");
  await once(squatter, "listening");
  const claim = await claimPorts(count, options);
  expect(timers()).toBe(0);
  await claim.release();
  await close(squatter);
  expect(timers()).toBe(0);
  await noSocketIsOpen();
  expect(await isFree(space.first, space.last)).toBe(true);
});

test("a process with a claim that nobody releases exits by itself", async () => {
  const entry = new URL("../../src/testing/index.ts", import.meta.url).href;
  const { range, startAt } = options;
  const script = `import { claimPorts } from ${JSON.stringify(entry)};
    const { ports } = await claimPorts(2, ${JSON.stringify({ range, startAt })});
    process.stdout.write(JSON.stringify(ports));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [[output], exit] = await Promise.all([once(child.stdout, "data"), once(child, "exit")]);
  expect(JSON.parse(String(output))).toEqual([space.first, space.first + 1]);
  expect(exit).toEqual([0, null]);
});

describe("an error that says nothing about a port", () => {
  test("ends a claim as it is, and nothing stays open (mocked: the second bind runs out of descriptors)", async () => {
    const exhausted = Object.assign(new Error("too many open files"), { code: "EMFILE" });
    const original = Server.prototype.listen as (...args: unknown[]) => Server;
    let binds = 0;
    vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args: unknown[]) {
      if (++binds === 2) process.nextTick(() => this.emit("error", exhausted));
      else original.apply(this, args);
      return this;
    });
    await expect(claimPorts(count, options)).rejects.toBe(exhausted);
    vi.restoreAllMocks();
    expect(await isFree(space.first, space.first + count - 1)).toBe(true);
  });

  test("ends a claim as it is (mocked: the first connection attempt runs out of descriptors)", async () => {
    const exhausted = Object.assign(new Error("too many open files"), { code: "EMFILE" });
    vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
      return this.destroy(exhausted);
    });
    await expect(claimPorts(count, options)).rejects.toBe(exhausted);
  });
});

test.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])(
  "a machine without IPv6 claims ports on IPv4 alone (mocked: ::1 and :: answer %s)",
  async (code) => {
    const missing = Object.assign(new Error("no IPv6"), { code });
    const isIpv6 = (args: unknown[]) => (args[0] as { host?: string }).host?.includes(":");
    const connect = Socket.prototype.connect as (...args: unknown[]) => Socket;
    vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket, ...args: unknown[]) {
      return isIpv6(args) ? this.destroy(missing) : connect.apply(this, args);
    });
    const listen = Server.prototype.listen as (...args: unknown[]) => Server;
    vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args: unknown[]) {
      if (!isIpv6(args)) return listen.apply(this, args);
      process.nextTick(() => this.emit("error", missing));
      return this;
    });
    await using claim = await claimPorts(count, options);
    vi.restoreAllMocks();
    expect(claim.ports).toEqual([space.first, space.first + 1]);
    await expect(listenOn("0.0.0.0", space.first)).rejects.toMatchObject({ code: "EADDRINUSE" });
  },
);
