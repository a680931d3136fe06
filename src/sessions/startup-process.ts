/**
 * PostgreSQL while it starts: one process alone, which also does the work of the postmaster's startup process, recovery.
 *
 * Owns: what its signals and waits come to until there are sessions. Does not own: the boot (`boot.ts`); what both come to
 * later (`host.ts`, `waiting.ts`).
 * Redo signals its own process: a barrier (storage/ipc/procsignal.c) is absorbed by every process, the one that asks for it
 * among them, and replaying DROP DATABASE, CREATE DATABASE with FILE_COPY and DROP TABLESPACE waits for that.
 * Invariant: no wait is endless. Nobody else is there to end one, so what was not done when it began will never be.
 */

import type { Machine } from "./machine.ts";
import { noSuchProcess, ownPid, raiseSignal, Signal, WaitEvent } from "./postgres-process.ts";
import { Hook } from "./rewrite/hooks.ts";
import type { Located } from "./rewrite/postgres.ts";

/** How long PostgreSQL may wait for its latch in vain, one wait after the other for the same thing, in ms. */
const longestWaitMs = 10_000;

/** Answers the hooks of a machine that boots; each as `MachineCalls.hook`. */
export class StartupProcess {
  readonly #machine: Machine;
  readonly #located: Located;
  #waitEvent = 0;
  /** How long it has waited for `#waitEvent` in vain so far. */
  #waitedMs = 0;

  constructor(machine: Machine, located: Located) {
    this.#machine = machine;
    this.#located = located;
  }

  hook(first: number, second: number, kind: number): number {
    if (kind === Hook.kill) return this.#kill(first, second);
    if (kind === Hook.waitEvent) this.#begin(second);
    if (kind === Hook.waitLatch) return this.#waitLatch(first, second);
    if (kind === Hook.sleep) return sleep(first / 1000);
    return second;
  }

  /** C's `kill`: a signal to itself is handled at once, as if it had arrived between two instructions. */
  #kill(target: number, signal: number): number {
    if (Math.abs(target) === ownPid) {
      // Signal 0 asks whether the process is there; the other one says that a latch was set.
      if (signal !== 0 && signal !== Signal.urgent) raiseSignal(this.#machine, this.#located, signal);
      return 0;
    }
    this.#machine.setWord(this.#machine.function("__errno_location")(), noSuchProcess);
    return -1;
  }

  #begin(event: number): void {
    if (event !== this.#waitEvent) this.#waitedMs = 0;
    this.#waitEvent = event;
  }

  /** Answers with the timeout that WaitLatch shall wait with. Throws where it would wait for ever. */
  #waitLatch(events: number, timeout: number): number {
    const { words } = this.#machine;
    const latch = words[this.#machine.address("MyLatch") >> 2]!;
    if ((events & WaitEvent.latchSet) === 0 || latch === 0) return timeout;
    if (words[latch >> 2] !== 0) {
      this.#waitedMs = 0;
      return timeout;
    }
    const finite = (events & WaitEvent.timeout) !== 0;
    this.#waitedMs += finite ? Math.max(timeout, 0) : Number.POSITIVE_INFINITY;
    if (this.#waitedMs > longestWaitMs) {
      const event = `0x${this.#waitEvent.toString(16).padStart(8, "0")}`;
      throw new Error(`PostgreSQL waits for another process while it starts, when there is none (wait event ${event})`);
    }
    return sleep(timeout);
  }
}

/** Engine: the boot is one call that cannot be parked, and PGlite's own way to wait is to compute. */
function sleep(ms: number): number {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
  return 0;
}
