/**
 * When the code that V8 has made of PostgreSQL is written to its file.
 *
 * Owns: the moments. Does not own: whether there is anything to write (`code-cache.ts`), or what.
 * Invariant: no client waits for it. Writing takes some 20 ms, so it is done when nobody has asked for anything for a second,
 * or when PostgreSQL has ended.
 */
import { pruneWhereWritten } from "../../system/cache-pruning.ts";
import type { SessionHost } from "../host.ts";
import type { KeepableCode } from "./code-cache.ts";
import { later, onceIdle } from "./once-idle.ts";

/** By then V8 has optimized what a server does at first. What lives shorter writes at its end. */
const firstLookMs = 20_000;
const longestLookMs = 24 * 3600 * 1000;

/** Emscripten's; five instructions. */
const smallFunction = "emscripten_stack_get_current";

/** Keeps the code that PostgreSQL runs on. */
export class CodeKeeper {
  readonly #code: KeepableCode;
  readonly #host: Pick<SessionHost, "machine">;

  constructor(code: KeepableCode, host: Pick<SessionHost, "machine">) {
    this.#code = code;
    this.#host = host;
  }

  /** Keeps it now and then in the life of this thread, which it does not prolong: each time after twice as long. */
  keepWhenIdle(lookMs = firstLookMs): void {
    const lookAgain = (): void => this.keepWhenIdle(Math.min(2 * lookMs, longestLookMs));
    later(() => {
      if (!this.#code.isDue) return lookAgain();
      onceIdle(() => {
        this.#keep();
        lookAgain();
      });
    }, lookMs);
  }

  /** Keeps it when PostgreSQL has ended. */
  keepAtStop(): void {
    if (this.#code.isDue) this.#keep();
  }

  #keep(): void {
    if (this.#code.keep(this.#host.machine.exports[smallFunction])) pruneWhereWritten();
  }
}
