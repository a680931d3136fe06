/**
 * One actor in one schedule.
 *
 * Owns: what it does, as far as it can be seen from here; its result. Does not own: what it is waited for (`schedule-run.ts`).
 */
import type { Actor } from "./report.ts";

/** See the head of the file. */
export class ActorRun {
  readonly name: string;
  /** `resting`: it cannot have more to say; `outside`: it was silent for too long. */
  state: "thinking" | "resting" | "outside" | "done" = "resting";
  result: PromiseSettledResult<unknown> = { status: "rejected", reason: new Error("it has not ended") };
  /** Whether something of it has come since it began to think. */
  hasArrived = false;
  readonly #run: Actor;
  readonly #changed: () => void;

  /** `changed` is called when it is done. */
  constructor(name: string, run: Actor, changed: () => void) {
    this.name = name;
    this.#run = run;
    this.#changed = changed;
  }

  get isDone(): boolean {
    return this.state === "done";
  }

  get hasRested(): boolean {
    return this.hasArrived || this.isDone;
  }

  begin(signal: AbortSignal): void {
    this.think();
    void Promise.allSettled([Promise.resolve({ signal }).then(this.#run)]).then(([result]) => {
      this.result = result;
      this.state = "done";
      this.#changed();
    });
  }

  /** It is about to have something to think about. */
  think(): void {
    this.hasArrived = false;
    if (!this.isDone) this.state = "thinking";
  }

  /** Something of it waits at the gate. */
  arrived(): void {
    this.hasArrived = true;
    if (!this.isDone) this.state = "resting";
  }
}
