/**
 * Seeing that a play does not go on.
 *
 * Owns: what counts as stuck: nothing has happened on a connection for some looks, and no thread of the server has used
 * a CPU meanwhile, or waited for one. Does not own: what follows.
 * Invariant: a slow machine is not mistaken for a stuck server: a look counts turns of this process's event loop, and time in
 * which the server works counts for nothing.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Talker } from "./talker.ts";

const lookMs = 250;
/** After so many looks without anything new plays stop to begin, so that the server may become idle. */
const quietLooks = 12;
const idleLooks = 8;
/** Of CPU, used or waited for, per look. */
const idleMs = 10;

interface Quiet {
  progress: number;
  looks: number;
}

/** See the head of the file. */
export class Watch {
  readonly #pid: number;
  readonly #talkers = new Map<Talker, Quiet>();
  readonly #timer: NodeJS.Timeout;
  #lastBusyMs = 0;
  #idle = 0;
  #isHeld = false;
  #waiting: (() => void)[] = [];

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#release();
  }

  /** For how many looks the server has been idle. */
  get idleLooks(): number {
    return this.#idle;
  }

  /** Whether it has been idle for so long that whatever is awaited will not come. */
  get isIdle(): boolean {
    return this.#idle >= idleLooks;
  }

  /** Something was asked of the server just now. */
  forgetIdleness(): void {
    this.#idle = 0;
  }

  /** Watches until the result is called. */
  begin(talkers: readonly Talker[]): () => void {
    for (const talker of talkers) this.#talkers.set(talker, { progress: -1, looks: 0 });
    return () => {
      for (const talker of talkers) this.#talkers.delete(talker);
    };
  }

  /** Resolves when a play may begin. */
  async gate(): Promise<void> {
    while (this.#isHeld) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #look(): void {
    const busyMs = this.#busyMs();
    this.#idle = Math.abs(busyMs - this.#lastBusyMs) < idleMs ? this.#idle + 1 : 0;
    this.#lastBusyMs = busyMs;
    let isQuiet = false;
    for (const [talker, quiet] of this.#talkers) {
      quiet.looks = talker.progress === quiet.progress ? quiet.looks + 1 : 0;
      quiet.progress = talker.progress;
      if (quiet.looks < quietLooks) continue;
      isQuiet = true;
      if (this.isIdle) talker.giveUp();
    }
    this.#isHeld = isQuiet;
    if (!isQuiet) this.#release();
  }

  #release(): void {
    this.#isHeld = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What all of its threads have used and waited for, in ms. */
  #busyMs(): number {
    let nanoseconds = 0;
    const tasks = `/proc/${this.#pid}/task`;
    const threads = existsSync(tasks) ? readdirSync(tasks) : [];
    for (const task of threads) {
      try {
        const [used, waited] = readFileSync(`${tasks}/${task}/schedstat`, "latin1").split(" ");
        nanoseconds += Number(used) + Number(waited);
      } catch {
        // It has ended meanwhile.
      }
    }
    return nanoseconds / 1e6;
  }
}
