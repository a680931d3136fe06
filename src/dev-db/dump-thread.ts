/**
 * The thread that runs pg_dump, which is WebAssembly and waits for its answers.
 *
 * Owns: the conversation between pg_dump and the thread that has the connection and the output. Does not own: the connection and the output (`dump.ts`).
 * Invariant: pg_dump sees one server that answers at once, and its login gets the answers of the connection's login. Memory holds no more
 * than one piece of its output.
 * Engine: pg_dump of @electric-sql/pglite-tools calls two functions where libpq would use its socket. A write may be a part of a message.
 */
import assert from "node:assert/strict";
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { createPgDump, type PgDumpModule } from "pg_dump.js";
import { changeQueries } from "./dump-queries.ts";

/** What the thread is given. */
export interface DumpThreadData {
  readonly arguments: readonly string[];
  /** Sends `FromPgDump` and receives the answers. */
  readonly port: MessagePort;
  /** A word that is not 0 once an answer has arrived. */
  readonly answered: Int32Array;
}

/** The thread's messages; the first three get an answer. */
export type FromPgDump =
  | { readonly kind: "login" }
  | { readonly kind: "ask"; readonly batch: Uint8Array }
  | { readonly kind: "write"; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly exitCode: number; readonly said: readonly string[] };

/** The answer to a login. */
export interface LoginAnswer {
  readonly bytes: Uint8Array;
  readonly locksLittle: boolean;
}

const { port, answered, arguments: args } = workerData as DumpThreadData;
const headBytes = 5;
const terminate = "X".charCodeAt(0);
const pieceBytes = 256 * 1024;
const program = "/pg_dump";
const outputPath = "/dev/dump";
/** A major number that no device of Emscripten's has, and a file that everybody may write to. */
const device = { major: 99, mode: 0o20666 };

function ask<T>(message: FromPgDump, moved: ArrayBuffer[] = []): T {
  Atomics.store(answered, 0, 0);
  port.postMessage(message, moved);
  Atomics.wait(answered, 0, 0);
  const answer = receiveMessageOnPort(port);
  assert(answer, "an answer has arrived");
  return answer.message as T;
}

/** Stands in for libpq's socket. */
class Server {
  #locksLittle: boolean | undefined;
  #pending: Buffer = Buffer.alloc(0);
  #answer: Uint8Array = new Uint8Array();

  write(bytes: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    if (this.#locksLittle === undefined) {
      const answer = ask<LoginAnswer>({ kind: "login" });
      this.#locksLittle = answer.locksLittle;
      this.#answer = answer.bytes;
      this.#pending = Buffer.alloc(0);
      return;
    }
    const end = endOfMessages(this.#pending);
    if (end === 0 || this.#pending[0] === terminate) return;
    const batch = changeQueries(this.#pending.subarray(0, end), this.#locksLittle);
    this.#pending = this.#pending.subarray(end);
    this.#answer = Buffer.concat([this.#answer, ask<Uint8Array>({ kind: "ask", batch })]);
  }

  read(into: Uint8Array): number {
    const taken = this.#answer.subarray(0, into.length);
    into.set(taken);
    this.#answer = this.#answer.subarray(taken.length);
    return taken.length;
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

/** The file that pg_dump writes to: the next piece waits until the one before is written. */
class Output {
  #piece = new Uint8Array(pieceBytes);
  #filled = 0;

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + pieceBytes - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === pieceBytes) this.flush();
    }
  }

  flush(): void {
    if (this.#filled === 0) return;
    const bytes = this.#piece.subarray(0, this.#filled);
    this.#piece = new Uint8Array(pieceBytes);
    this.#filled = 0;
    ask({ kind: "write", bytes }, [bytes.buffer]);
  }
}

function connect(module: PgDumpModule): void {
  const { FS } = module;
  const server = new Server();
  const at = (pointer: number, length: number) => module.HEAPU8.subarray(pointer, pointer + length);
  const read = (pointer: number, length: number) => server.read(at(pointer, length));
  const write = (pointer: number, length: number) => {
    server.write(at(pointer, length));
    return length;
  };
  module._pgl_set_rw_cbs(module.addFunction(read, "iii"), module.addFunction(write, "iii"));
  const output = new Output();
  FS.registerDevice(FS.makedev(device.major, 0), {
    open: (stream) => {
      stream.seekable = false;
    },
    write: (_stream, { buffer }, offset, length) => {
      output.write(new Uint8Array(buffer, offset, length));
      return length;
    },
    close: () => output.flush(),
  });
  FS.mkdev(outputPath, device.mode, FS.makedev(device.major, 0));
  // pg_dump looks for itself.
  FS.writeFile(program, "", { mode: 0o100755 });
}

const said: string[] = [];
const module = await createPgDump({
  thisProgram: program,
  noExitRuntime: false,
  print: (line) => void said.push(line),
  printErr: (line) => void said.push(line),
  preRun: [({ ENV }) => void Object.assign(ENV, { HOME: "/home/postgres", USER: "postgres", LOGNAME: "postgres" })],
});
connect(module);
const exitCode = module.callMain([...args, "-U", "postgres", "--inserts", "-j", "1", "-f", outputPath]);
port.postMessage({ kind: "end", exitCode, said } satisfies FromPgDump);
