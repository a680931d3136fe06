/**
 * The gates of a listener: one for each database that somebody decides about.
 *
 * Owns: the connections that decide, their requests and what they are told. Does not own: what a gate does (`gate.ts`).
 * Invariant: without such a connection there is no gate, and nobody looks for one; when it ends, its gate is open for good.
 */
import type { Batch, SocketConnection } from "@electric-sql/pglite-socket";
import { controlsGate, type GateEvent, type GateRequest, type GateStep, gateChannel } from "../../engine/gate.ts";
import { encodeError, int16, int32, Type } from "../../wire/frames.ts";
import { encodeMessage } from "../../wire/frontend.ts";
import type { ClientSession } from "../client-session.ts";
import { Gate, type GateHost } from "./gate.ts";

const ready = encodeMessage("Z", Uint8Array.of(0x49));
/** So long the answer to a step waits for what comes next, in ms: a write and a wake-up less. */
const togetherMs = 1;

/** See the head of the file. */
export class Gates {
  readonly #host: GateHost;
  readonly #clients: ReadonlyMap<SocketConnection, ClientSession>;
  readonly #gates = new Map<string | undefined, Gate>();
  /** The connections that decide, and what they asked last. */
  readonly #controls = new Map<SocketConnection, Promise<unknown>>();

  /** What the connections that decide have not been sent yet. */
  readonly #waiting = new Map<SocketConnection, { readonly bytes: Buffer; readonly timer: NodeJS.Timeout }>();

  constructor(host: GateHost, clients: ReadonlyMap<SocketConnection, ClientSession>) {
    this.#host = host;
    this.#clients = clients;
  }

  get areUsed(): boolean {
    return this.#controls.size > 0;
  }

  isControl({ parameters }: SocketConnection): boolean {
    return Object.entries(controlsGate).every(([name, value]) => parameters.get(name) === value);
  }

  /** A connection decides about its database from now on. It is ended if another one does. */
  attach(connection: SocketConnection): void {
    const database = databaseOf(connection);
    if (this.#gates.has(database)) {
      const message = `somebody else explores the database "${database}"`;
      connection.terminate({ severity: "FATAL", code: "55006", message });
      return;
    }
    this.#controls.set(connection, Promise.resolve());
    this.#gates.set(database, new Gate(this.#host, (event) => this.#send(connection, notificationOf(event), false)));
  }

  /** For every batch while gates are used. */
  submit(connection: SocketConnection, client: ClientSession | undefined, batch: Batch): Promise<void> {
    if (!client) return this.#ask(connection, batch);
    const gate = this.#gates.get(databaseOf(connection));
    return gate ? gate.submit(connection, client, batch) : client.submit(batch);
  }

  detach(connection: SocketConnection): void {
    const database = databaseOf(connection);
    const gate = this.#gates.get(database);
    if (this.#controls.delete(connection)) {
      clearTimeout(this.#waiting.get(connection)?.timer);
      this.#waiting.delete(connection);
      this.#gates.delete(database);
      gate?.end();
    } else gate?.detach(connection);
  }

  /** Whether what a client does waits for somebody else's decisions. */
  isHeld(connection: SocketConnection): boolean {
    return this.#gates.get(databaseOf(connection))?.isHolding === true;
  }

  /** Lets everything go. */
  open(): void {
    for (const gate of this.#gates.values()) gate.open();
  }

  /** One request after the other. */
  #ask(connection: SocketConnection, batch: Batch): Promise<void> {
    const before = this.#controls.get(connection);
    if (!before) return Promise.resolve();
    const answered = before.then(async () => {
      for (const { type, bytes } of batch.frames) if (type === Type.Query) await this.#answer(connection, bytes);
    });
    this.#controls.set(connection, answered);
    return answered;
  }

  async #answer(connection: SocketConnection, query: Uint8Array): Promise<void> {
    const database = databaseOf(connection);
    const isMember = (client: SocketConnection): boolean => databaseOf(client) === database;
    let answer: Buffer;
    let mayWait = false;
    try {
      const request = JSON.parse(Buffer.from(query.subarray(5, -1)).toString("utf8")) as GateRequest;
      const value = await this.#gates.get(database)?.ask(request, this.#clients, isMember);
      mayWait = isDelivered(request, value);
      const text = Buffer.from(JSON.stringify(value ?? null));
      answer = encodeMessage("D", int16(1), int32(text.length), text);
    } catch (error) {
      answer = encodeError("XX000", (error as Error).message);
    }
    this.#send(connection, Buffer.concat([answer, encodeMessage("C", "GATE"), ready]), mayWait);
  }

  #send(connection: SocketConnection, bytes: Buffer, mayWait: boolean): void {
    const waiting = this.#waiting.get(connection);
    this.#waiting.delete(connection);
    clearTimeout(waiting?.timer);
    const all = waiting ? Buffer.concat([waiting.bytes, bytes]) : bytes;
    if (!mayWait) {
      connection.send(all);
      return;
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(connection);
      connection.send(all);
    }, togetherMs);
    this.#waiting.set(connection, { bytes: all, timer });
  }
}

/** Whether its client has the answer, and will send something or end. */
function isDelivered(request: GateRequest, value: unknown): boolean {
  if (request.do !== "release") return false;
  const step = value as GateStep;
  return !step.isStale && step.answers.some((answer) => answer.isDelivered);
}

function databaseOf({ parameters }: SocketConnection): string | undefined {
  return parameters.get("database") ?? parameters.get("user");
}

function notificationOf(event: GateEvent): Buffer {
  return encodeMessage("A", int32(0), gateChannel, JSON.stringify(event));
}
