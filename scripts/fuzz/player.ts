/**
 * Doing what a play says, against a server.
 *
 * Owns: the clients of one play and the bounds of its waits. Does not own: whether the server is well afterwards.
 * Invariant: a play always ends, whatever the server does, and none of its clients is connected when `finish` has.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { message } from "../../test/support/wire-client.ts";
import { type Endpoint, FuzzClient, withinMs } from "./client.ts";
import type { Action, Play } from "./play.ts";

/** A client that made no mistake may wait this long for its last answer. */
const lastAnswerMs = 30_000;
/** Others go on after this long without an answer, and soon when the one before did not come either. */
const patienceMs = 80;
const shortPatienceMs = 8;
/** A server has to close its side this long after a client has closed its own. */
const letGoMs = 30_000;

/** One performance. */
export class Player {
  readonly #endpoint: Endpoint;
  readonly #closeMs: number;
  readonly #clients = new Map<number, FuzzClient>();
  readonly #impatient = new Set<number>();
  readonly #halfClosed = new Set<FuzzClient>();
  readonly #all: FuzzClient[] = [];
  /** What the server did wrong. */
  readonly problems: string[] = [];

  /** `lateMs`: how long a new client may wait. */
  constructor(endpoint: Endpoint, lateMs: number) {
    this.#endpoint = endpoint;
    this.#closeMs = Math.max(1_000, lateMs);
  }

  /** Does everything up to the last action. Clients that stay are still connected then. */
  async perform({ actions }: Play): Promise<void> {
    for (const action of actions) {
      if (action.do === "connect") this.#connect(action.client);
      else await this.#do(action, this.#clients.get(action.client)!);
    }
  }

  /** Takes everybody off the server. */
  async finish(): Promise<void> {
    for (const client of this.#all) if (!client.isLeaving) client.destroy();
    for (const client of this.#halfClosed) {
      if (!(await client.closed(letGoMs)))
        this.problems.push(`a client that closed its side is kept for ${letGoMs} ms`);
    }
    await Promise.all(this.#all.map((client) => client.closed(500)));
    for (const client of this.#all) client.destroy();
  }

  /** Whether a client is still connected and not leaving. */
  get hasStayers(): boolean {
    return this.#all.some((client) => !client.isLeaving && !client.isClosed);
  }

  #connect(number: number): void {
    const client = new FuzzClient(this.#endpoint);
    this.#clients.set(number, client);
    this.#all.push(client);
  }

  async #do(action: Exclude<Action, { do: "connect" }>, client: FuzzClient): Promise<void> {
    switch (action.do) {
      case "send":
        await withinMs(1_000, client.connected());
        for (const segment of action.segments) {
          await client.write(segment);
          await nextTurn();
        }
        return;
      case "await":
        return this.#await(client, action.client, action.answer);
      case "stop reading":
        return client.stopReading();
      case "cancel":
        return this.#cancel(client, action.key);
      case "wait":
        await sleep(action.ms);
        return;
      case "leave":
        await withinMs(1_000, client.connected());
        client.leave(action.how);
        if (action.how === "half-close") this.#halfClosed.add(client);
        await nextTurn();
    }
  }

  async #await(client: FuzzClient, number: number, answer: string): Promise<void> {
    for (const types of answer.split(" ")) {
      const limitMs = types === "mark" ? lastAnswerMs : this.#impatient.has(number) ? shortPatienceMs : patienceMs;
      const came = await client.take(types, limitMs);
      if (came) {
        this.#impatient.delete(number);
        continue;
      }
      this.#impatient.add(number);
      if (types !== "mark") return;
      if (!client.isClosed) this.problems.push(`no answer within ${limitMs} ms for a client that made no mistake`);
      else if (!client.fatal) this.problems.push("a connection that made no mistake ended without a FATAL error");
    }
  }

  /** As libpq does it: a connection of its own, which the server closes without a word. */
  async #cancel(target: FuzzClient, key: "right" | "wrong" | "short"): Promise<void> {
    const body = target.key ?? Buffer.alloc(8);
    const secret = Buffer.from(body.subarray(4));
    if (key === "wrong") secret[0]! ^= 1;
    const sent = key === "short" ? secret.subarray(0, 2) : secret;
    const client = new FuzzClient(this.#endpoint);
    this.#all.push(client);
    client.isLeaving = true;
    await withinMs(1_000, client.connected());
    await client.write(message.cancelRequest(body.readInt32BE(0), sent));
    if (!(await client.closed(this.#closeMs)))
      this.problems.push(`the connection of a CancelRequest is not closed within ${this.#closeMs} ms`);
  }
}
