/**
 * The lanes of a trace: what lasts how long on which connection.
 *
 * Owns: pipelines, transactions, waits and errors, made of events. Does not own: where they are drawn (`browser/`).
 * Invariant: everything here begins and ends at an event, and is named by the events' indexes. It runs in a browser, too.
 */
import { eventKinds, type PageData } from "./page-data.ts";

/** What was asked up to a Sync or Query, and the answers. */
export interface Pipeline {
  first: number;
  readonly waits: AnswerWait[];
  last: number;
  /** Its first error. */
  error: number | undefined;
}

/** Messages of the client, from `first` to `asked`, and the first answer to them; undefined: there is none in the page. */
interface AnswerWait {
  readonly first: number;
  asked: number;
  answered: number | undefined;
}

/** From the pipeline that began it to the one that ended it. */
interface Transaction {
  readonly first: number;
  last: number;
  /** `failed`: it has had an error and is not over; `open`: the trace ends before it does. */
  outcome: "committed" | "rolled back" | "failed" | "open";
}

/** A wait for a lock. */
export interface LockWait {
  readonly first: number;
  last: number;
  /** Connections. */
  readonly holders: readonly number[];
}

/** Of one connection. */
export interface Lane {
  readonly connection: number;
  readonly events: number[];
  readonly pipelines: Pipeline[];
  readonly transactions: Transaction[];
  readonly waits: LockWait[];
  readonly errors: number[];
}

/** The events as plain arrays of what a reader wants to know; times are since the trace began. */
export interface Events {
  readonly count: number;
  readonly time: Float64Array;
  readonly line: Float64Array;
  /** Where its bytes begin. */
  readonly at: Float64Array;
}

/** Adds up what the data has as differences. */
export function sumUp({ events }: PageData): Events {
  const count = events.time.length;
  const [time, line, at] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    time[i] = events.time[i]! + (i > 0 ? time[i - 1]! : 0);
    line[i] = events.line[i]! + (i > 0 ? line[i - 1]! : 0);
    at[i] = i > 0 ? at[i - 1]! + events.kept[i - 1]! : 0;
  }
  return { count, time, line, at };
}

/** The lanes, by connection. */
export function lanesOf(data: PageData): Lane[] {
  const lanes = new Map(data.connections.map(({ number }) => [number, new OpenLane(number, data)]));
  const waits = new Map(data.waits);
  const woken = new Set(data.woken);
  const { kind, connection } = data.events;
  for (let i = 0; i < kind.length; i++) {
    const lane = lanes.get(connection[i]!);
    if (!lane) continue;
    lane.lane.events.push(i);
    const what = eventKinds[kind[i]!];
    if (what === "message") lane.message(i);
    else if (what === "closed") lane.close(i);
    const holders = waits.get(i);
    if (holders) lane.lane.waits.push({ first: i, last: -1, holders });
    else if (woken.has(i)) lane.wake(i);
  }
  return [...lanes.values()].map((lane) => lane.finish());
}

class OpenLane {
  readonly lane: Lane;
  readonly #data: PageData;
  /** Those that are not answered, by their number, the oldest first. */
  readonly #open = new Map<number, Pipeline>();
  #transaction: Transaction | undefined;
  #tag = "";

  constructor(connection: number, data: PageData) {
    this.#data = data;
    this.lane = { connection, events: [], pipelines: [], transactions: [], waits: [], errors: [] };
  }

  message(i: number): void {
    const { names, events } = this.#data;
    const name = names[events.name[i]!]!;
    if (name === "Terminate" || name === "CancelRequest") return;
    // The answer to a request for a password belongs to the login.
    const number = name === "AuthenticationResponse" ? 0 : events.exchange[i]!;
    if (events.isFrontend[i] === 1) this.#asks(i, number);
    else this.#answers(i, number, name);
  }

  #asks(i: number, number: number): void {
    const pipeline = this.#open.get(number);
    const wait = pipeline?.waits.at(-1);
    if (pipeline && wait) {
      pipeline.last = i;
      if (wait.answered === undefined) wait.asked = i;
      else pipeline.waits.push({ first: i, asked: i, answered: undefined });
      return;
    }
    const begun = { first: i, waits: [{ first: i, asked: i, answered: undefined }], last: i, error: undefined };
    this.#open.set(number, begun);
    this.lane.pipelines.push(begun);
  }

  #answers(i: number, number: number, name: string): void {
    const pipeline = this.#open.get(number);
    if (name === "ErrorResponse") {
      this.lane.errors.push(i);
      if (pipeline) pipeline.error ??= i;
    }
    if (!pipeline) return;
    pipeline.waits.at(-1)!.answered ??= i;
    pipeline.last = i;
    if (name === "CommandComplete") this.#tag = this.#words(i);
    if (name !== "ReadyForQuery") return;
    this.#ready(pipeline, i, this.#words(i));
    for (const each of this.#open.keys()) if (each <= number) this.#open.delete(each);
  }

  #words(i: number): string {
    return this.#data.texts[this.#data.events.text[i]!]!;
  }

  #ready(pipeline: Pipeline, i: number, status: string): void {
    const tag = this.#tag;
    this.#tag = "";
    if (status !== "I") {
      if (!this.#transaction) {
        this.#transaction = { first: pipeline.first, last: i, outcome: "open" };
        this.lane.transactions.push(this.#transaction);
      }
      this.#transaction.last = i;
      this.#transaction.outcome = status === "E" ? "failed" : "open";
      return;
    }
    if (!this.#transaction) return;
    this.#transaction.last = i;
    const isCommitted = pipeline.error === undefined && /^"(?:COMMIT|PREPARE TRANSACTION)/.test(tag);
    this.#transaction.outcome = isCommitted ? "committed" : "rolled back";
    this.#transaction = undefined;
  }

  wake(i: number): void {
    const wait = this.lane.waits.at(-1);
    if (wait?.last === -1) wait.last = i;
  }

  close(i: number): void {
    if (this.#transaction) {
      this.#transaction.last = i;
      this.#transaction.outcome = "rolled back";
      this.#transaction = undefined;
    }
    this.wake(i);
  }

  finish(): Lane {
    const last = this.lane.events.at(-1)!;
    for (const wait of this.lane.waits) if (wait.last === -1) wait.last = last;
    if (this.#transaction) this.#transaction.last = last;
    return this.lane;
  }
}
