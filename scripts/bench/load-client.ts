/**
 * One client that sends a workload, checks every answer and counts.
 *
 * Owns: the operations under way on one link. Does not own: the clock of the cell or the other clients (`cell.ts`).
 * Invariant: an operation is counted exactly once: right, wrong (an answer without an error that is not the expected
 * one), failed (an ErrorResponse) or lost (no answer, because the link ended or the server fell silent).
 */
import type { Answer } from "./answer-reader.ts";
import type { Link } from "./link.ts";
import type { ClientLoad, Step } from "./workloads.ts";

/** What came of the operations of one cell. */
export interface Tally {
  right: number;
  wrong: number;
  failed: number;
  lost: number;
  /** The first thing that was not right, for a person. */
  firstProblem: string | undefined;
}

/** How strictly answers are checked: a server that answers from constants has the right shape and no values. */
export type Strictness = "values" | "shape";

interface Operation {
  readonly steps: readonly Step[];
  at: number;
  outcome: "right" | "wrong" | "failed";
}

/** Runs one client's load over one link until it is told to stop. */
export class LoadClient {
  /** Calls back once, when nothing is under way any more and nothing will be sent. */
  onIdle: () => void = () => {};
  readonly #link: Link;
  readonly #load: ClientLoad;
  readonly #tally: Tally;
  readonly #strictness: Strictness;
  readonly #underWay: Operation[] = [];
  #started = 0;
  #endAt = 0;
  #over = false;

  constructor(link: Link, load: ClientLoad, tally: Tally, strictness: Strictness) {
    this.#link = link;
    this.#load = load;
    this.#tally = tally;
    this.#strictness = strictness;
  }

  /** Starts `inFlight` operations and keeps that many under way until `endAt` on the clock of `performance.now()`. */
  start(inFlight: number, endAt: number): void {
    this.#endAt = endAt;
    this.#link.onAnswer = (answer) => this.#take(answer);
    this.#link.onLost = (reason) => this.giveUp(reason);
    for (let i = 0; i < inFlight; i++) this.#begin();
    this.#link.flush();
  }

  /** Counts what is under way as lost and ends. */
  giveUp(reason: string): void {
    if (this.#over) return;
    this.#tally.lost += this.#underWay.length;
    this.#tally.firstProblem ??= reason;
    this.#underWay.length = 0;
    this.#finish();
  }

  #begin(): void {
    const operation: Operation = { steps: this.#load.cycle(this.#started++), at: 0, outcome: "right" };
    this.#underWay.push(operation);
    this.#link.send(operation.steps[0]!.bytes);
  }

  #take(answer: Answer): void {
    const operation = this.#underWay.shift();
    if (operation === undefined) {
      this.#tally.wrong++;
      this.#tally.firstProblem ??= "an answer that nobody asked for";
      return;
    }
    this.#check(operation, answer);
    operation.at++;
    const next = operation.steps[operation.at];
    if (next !== undefined) {
      this.#underWay.push(operation);
      this.#link.send(next.bytes);
      return;
    }
    this.#tally[operation.outcome]++;
    if (performance.now() < this.#endAt) this.#begin();
    else if (this.#underWay.length === 0) this.#finish();
  }

  #check(operation: Operation, answer: Answer): void {
    const step = operation.steps[operation.at]!;
    if (answer.error !== undefined) {
      this.#note(operation, "failed", answer.error);
      return;
    }
    if (answer.rows !== step.rows) {
      this.#note(operation, "wrong", `${answer.rows} rows instead of ${step.rows}`);
    }
    if (this.#strictness === "shape") return;
    if (step.value !== undefined && answer.value !== step.value) {
      this.#note(operation, "wrong", `${answer.value} instead of ${step.value}`);
    }
    if (answer.status !== step.status) {
      this.#note(operation, "wrong", `transaction status ${answer.status} instead of ${step.status}`);
    }
  }

  #note(operation: Operation, outcome: "wrong" | "failed", problem: string): void {
    // A wrong answer without an error is the worse of the two, so an operation that had one stays wrong.
    if (operation.outcome !== "wrong") operation.outcome = outcome;
    this.#tally.firstProblem ??= problem;
  }

  #finish(): void {
    this.#over = true;
    this.onIdle();
  }
}
