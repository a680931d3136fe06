/** Signals and waits of PostgreSQL while it starts, on a machine that is mocked: memory, MyLatch, one signal handler. */
import { expect, test } from "vitest";
import type { Machine } from "../../../src/sessions/machine.ts";
import { ownPid, Signal, WaitEvent } from "../../../src/sessions/postgres-process.ts";
import { Hook } from "../../../src/sessions/rewrite/hooks.ts";
import type { Located } from "../../../src/sessions/rewrite/postgres.ts";
import { StartupProcess } from "../../../src/sessions/startup-process.ts";

const [myLatch, latch, errno, handlers, handlerSlot] = [16, 32, 64, 128, 7];
const latchWait = WaitEvent.latchSet | WaitEvent.timeout;

function mockedProcess() {
  const words = new Uint32Array(128);
  words[myLatch >> 2] = latch;
  words[(handlers >> 2) + Signal.user1] = handlerSlot;
  const handled: number[] = [];
  const machine = {
    words,
    address: () => myLatch,
    function: () => () => errno,
    setWord: (address: number, value: number) => {
      words[address >> 2] = value;
    },
    table: { get: (slot: number) => (slot === handlerSlot ? (signal: number) => handled.push(signal) : null) },
  };
  const process = new StartupProcess(
    machine as unknown as Machine,
    {
      addresses: { signalHandlers: handlers },
    } as unknown as Located,
  );
  return { process, words, handled };
}

test("a signal to itself runs its handler at once; one to somebody else fails with ESRCH", () => {
  const { process, words, handled } = mockedProcess();
  expect(process.hook(ownPid, Signal.user1, Hook.kill)).toBe(0);
  expect(process.hook(-ownPid, Signal.user1, Hook.kill)).toBe(0);
  expect(handled).toEqual([Signal.user1, Signal.user1]);
  expect(process.hook(ownPid, 0, Hook.kill)).toBe(0);
  expect(process.hook(ownPid, Signal.urgent, Hook.kill)).toBe(0);
  expect(handled).toHaveLength(2);
  expect(process.hook(1001, Signal.user1, Hook.kill) | 0).toBe(-1);
  expect(words[errno >> 2]).toBe(71);
});

test("a wait for a latch that is set goes on; an endless one for one that nobody sets is an error that names it", () => {
  const { process, words } = mockedProcess();
  process.hook(WaitEvent.latchSet, 0x0800002a, Hook.waitEvent);
  words[latch >> 2] = 1;
  expect(process.hook(WaitEvent.latchSet, -1, Hook.waitLatch)).toBe(-1);
  words[latch >> 2] = 0;
  expect(() => process.hook(WaitEvent.latchSet, -1, Hook.waitLatch)).toThrow(
    "PostgreSQL waits for another process while it starts, when there is none (wait event 0x0800002a)",
  );
});

test("waits with an end come to it, but not again and again for the same thing", () => {
  const { process } = mockedProcess();
  const waitFor = (event: number, ms: number) => {
    process.hook(latchWait, event, Hook.waitEvent);
    return process.hook(latchWait, ms, Hook.waitLatch);
  };
  expect(waitFor(1, 1)).toBe(0);
  // Each is too long only together with those before it.
  for (let event = 2; event < 6; event++) expect(waitFor(event, 1)).toBe(0);
  expect(() => waitFor(5, 10_000)).toThrow("(wait event 0x00000005)");
});
