/**
 * The thread that runs pg_dump, which is WebAssembly and waits for its answers.
 *
 * Owns: the conversation between pg_dump and the thread that has the connection. Does not own: the connection (`dump.ts`).
 * Invariant: pg_dump sees one server that answers at once; its own login is answered with that of the connection.
 * Engine: pg_dump of @electric-sql/pglite-tools talks to an object with PGlite's function `execProtocolRawStream`, and writes as
 * libpq does: also parts of messages. What it asks of PGlite beside that is for PGlite's own good.
 */
import assert from "node:assert/strict";
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { pgDump } from "@electric-sql/pglite-tools/pg_dump";

/** What the thread is given. */
export interface DumpThreadData {
  readonly arguments: readonly string[];
  /** Gets the messages, and after each batch what they are answered with. */
  readonly port: MessagePort;
  /** A word that is not 0 when there is an answer. */
  readonly answered: Int32Array;
}

const { port, answered, arguments: args } = workerData as DumpThreadData;
const headBytes = 5;
const terminate = "X".charCodeAt(0);

class Server {
  #hasLoggedIn = false;
  #pending: Buffer = Buffer.alloc(0);

  execProtocolRawStream(bytes: Uint8Array, { onRawData }: { onRawData: (bytes: Uint8Array) => void }): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    const end = this.#hasLoggedIn ? endOfMessages(this.#pending) : this.#pending.length;
    if (end === 0 || this.#pending[0] === terminate) return;
    const batch = this.#hasLoggedIn ? this.#pending.subarray(0, end) : Buffer.alloc(0);
    this.#pending = this.#pending.subarray(end);
    this.#hasLoggedIn = true;
    onRawData(ask(batch));
  }

  query(): Promise<{ rows: [{ search_path: string }] }> {
    return Promise.resolve({ rows: [{ search_path: "public" }] });
  }

  exec(): Promise<void> {
    return Promise.resolve();
  }
}

/** Past the last message that is whole. */
function endOfMessages(bytes: Buffer): number {
  let at = 0;
  while (at + headBytes <= bytes.length && at + 1 + bytes.readInt32BE(at + 1) <= bytes.length) {
    at += 1 + bytes.readInt32BE(at + 1);
  }
  return at;
}

/** An empty batch asks for the answer to the login. */
function ask(batch: Uint8Array): Uint8Array {
  Atomics.store(answered, 0, 0);
  port.postMessage(batch);
  Atomics.wait(answered, 0, 0);
  const answer = receiveMessageOnPort(port);
  assert(answer, "who is woken has an answer");
  return answer.message as Uint8Array;
}

const server = new Server() as unknown as Parameters<typeof pgDump>[0]["pg"];
try {
  const file = await pgDump({ pg: server, args: [...args] });
  port.postMessage(await file.text());
} catch (error) {
  port.postMessage(error instanceof Error ? error : new Error(String(error)));
}
