/**
 * One session of a script: a connection and what it is doing.
 *
 * Owns: the connection, the answer that is coming in. Does not own: whether it waits (`run-script.ts`).
 * Invariant: it has at most one answer under way; what arrives outside of an answer is kept for the next one.
 */
import { type Address, type BackendMessage, message, WireClient } from "../../support/wire-client.ts";

/** An answer that is coming in. */
export interface Pending {
  readonly sql: string;
  readonly inBackground: boolean;
  readonly messages: BackendMessage[];
}

/** A whole answer. */
export interface Answer {
  readonly sql: string;
  readonly messages: readonly BackendMessage[];
  /** The letter of ReadyForQuery: I, T or E; `copy` in COPY FROM STDIN, `closed` when the connection has ended. */
  readonly status: string;
}

/** A connected session. */
export class StepSession {
  readonly name: string;
  readonly pid: number;
  readonly #client: WireClient;
  readonly #address: Address;
  readonly #key: Buffer;
  #pending: Pending | undefined;
  /** Messages between two answers. */
  #between: BackendMessage[] = [];

  private constructor(name: string, address: Address, client: WireClient, pid: number, key: Buffer) {
    this.name = name;
    this.#address = address;
    this.#client = client;
    this.pid = pid;
    this.#key = key;
  }

  /** Connects; resolves with the messages of a refused login instead if there is one. */
  static async open(
    name: string,
    address: Address,
    parameters: Record<string, string>,
  ): Promise<StepSession | BackendMessage[]> {
    const client = await WireClient.connect(address);
    client.send(message.startup({ user: "postgres", database: "postgres", ...parameters }));
    const messages: BackendMessage[] = [];
    while (messages.at(-1)?.type !== "Z") {
      messages.push(await client.next());
      if (messages.at(-1)!.type !== "E") continue;
      client.destroy();
      return messages;
    }
    const data = messages.find(({ type }) => type === "K")!.body;
    return new StepSession(name, address, client, data.readInt32BE(0), data.subarray(4));
  }

  /** What it is doing. */
  get pending(): Pending | undefined {
    return this.#pending;
  }

  /** Sends messages whose answer ends with ReadyForQuery. */
  send(sql: string, inBackground: boolean, ...messages: Uint8Array[]): void {
    this.#client.send(...messages);
    this.#pending = { sql, inBackground, messages: this.#between.splice(0) };
  }

  /** Sends messages that have no answer of their own. */
  sendMore(...messages: Uint8Array[]): void {
    this.#client.send(...messages);
  }

  /** Takes the answer if it is complete. */
  async takeAnswer(): Promise<Answer | undefined> {
    const pending = this.#pending;
    while (this.#client.unread.length > 0) {
      const next = await this.#client.next();
      (pending?.messages ?? this.#between).push(next);
      if (!pending || (next.type !== "Z" && next.type !== "G")) continue;
      this.#pending = undefined;
      return { ...pending, status: next.type === "G" ? "copy" : next.body.toString("latin1") };
    }
    if (!this.#client.ended || !pending) return undefined;
    this.#pending = undefined;
    return { ...pending, status: "closed" };
  }

  /** Takes what arrived outside of an answer. */
  takeUnasked(): BackendMessage[] {
    return this.#between.splice(0);
  }

  /** Resolves when something more arrives or the connection ends. */
  async arrival(): Promise<void> {
    if (this.#client.unread.length === 0) await this.#client.received();
  }

  /** Sends a CancelRequest in a connection of its own, and resolves when the server has taken it. */
  async cancel(): Promise<void> {
    const client = await WireClient.connect(this.#address);
    client.send(message.cancelRequest(this.pid, this.#key));
    await client.untilEnd();
  }

  /** Terminate and close. */
  async leave(): Promise<void> {
    await this.#client.end();
  }

  /** Closes without Terminate. */
  vanish(): void {
    this.#client.destroy();
  }
}
