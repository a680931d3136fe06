/**
 * The file that a trace is written into.
 *
 * Owns: the buffer in front of it, its size, when a new part begins. Does not own: what a line says (`recorder.ts`).
 * Invariant: nobody waits for it: lines are kept until the disk has taken the ones before them, and what the buffer cannot
 * hold is dropped, which the next line says. FILE and FILE.1, the part before it, are never more than the limit together.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, write, writeSync } from "node:fs";
import { promisify } from "node:util";
import type { TraceTarget } from "../../engine/listener.ts";
import { UsageError } from "../../errors.ts";

/** What every trace begins with. */
const traceFormat = 1;

const mostBufferedBytes = 16 * 1024 * 1024;
const writeAtBytes = 64 * 1024;
const writeAfterMs = 50;

/**
 * Makes the file, which nobody else may read. Throws a `UsageError` where that cannot be, and for a file that is there and is
 * no trace. A trace that is there is replaced.
 */
export function createTraceFile(file: string, option: string): void {
  try {
    if (isForeign(file)) throw new UsageError(`${option}: ${file} is there and is not a trace; it is not overwritten`);
    rmSync(file, { force: true });
    rmSync(`${file}.1`, { force: true });
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${option}: cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function isForeign(file: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  const begin = Buffer.alloc(traceBegin.length);
  try {
    return readSync(descriptor, begin) > 0 && begin.toString("latin1") !== traceBegin;
  } finally {
    closeSync(descriptor);
  }
}

/** The first bytes of every trace. */
const traceBegin = '{"trace":"pglite-devdb"';

/** Removes a trace. */
export function removeTraceFile(file: string): void {
  for (const name of [file, `${file}.1`]) rmSync(name, { force: true });
}

/** An open one. */
export class TraceFile {
  readonly #target: TraceTarget;
  readonly #onFailure: (error: Error) => void;
  #descriptor: number;
  #part: number;
  #size = 0;
  /** Lines that the disk has not been given. */
  #text = "";
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;
  /** `failed`: it could not be written, and takes nothing any more. */
  #state: "open" | "failed" | "closed" = "open";

  /** Opens a file that has been made, as the next part if it has lines. `onFailure`: it could not be written. */
  constructor(target: TraceTarget, onFailure: (error: Error) => void) {
    this.#target = target;
    this.#onFailure = onFailure;
    const before = partOf(target.file);
    if (before > 0) renameSync(target.file, `${target.file}.1`);
    this.#part = before + 1;
    this.#descriptor = this.#open();
  }

  /** Takes a line, with its line break; ASCII only. */
  add(line: string): void {
    if (this.#text.length + line.length > mostBufferedBytes || this.#state !== "open") {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      this.#text += `{"dropped":${this.#dropped}}\n`;
      this.#dropped = 0;
    }
    this.#text += line;
    if (this.#timer === undefined && !this.#writing) this.#timer = setTimeout(this.#write, writeAfterMs);
    else if (this.#text.length >= writeAtBytes) this.#write();
  }

  /** Writes what is left. Idempotent. */
  async close(): Promise<void> {
    while (this.#state === "open" && (this.#writing || this.#text !== "")) {
      this.#write();
      await this.#writing;
    }
    clearTimeout(this.#timer);
    if (this.#state === "closed") return;
    this.#state = "closed";
    closeSync(this.#descriptor);
  }

  readonly #write = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing || this.#text === "" || this.#state !== "open") return;
    const bytes = Buffer.from(this.#text, "latin1");
    this.#text = "";
    this.#writing = this.#put(bytes).then(
      () => {
        this.#writing = undefined;
        if (this.#text.length >= writeAtBytes) this.#write();
        else if (this.#text !== "") this.#timer ??= setTimeout(this.#write, writeAfterMs);
      },
      (error: Error) => {
        this.#writing = undefined;
        this.#state = "failed";
        this.#onFailure(error);
      },
    );
  };

  async #put(bytes: Buffer): Promise<void> {
    if (this.#size + bytes.length > this.#target.limitBytes / 2) {
      closeSync(this.#descriptor);
      renameSync(this.#target.file, `${this.#target.file}.1`);
      this.#part++;
      this.#descriptor = this.#open();
    }
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length; ) at += (await writeSome(this.#descriptor, bytes, at)).bytesWritten;
  }

  /** Begins a part. */
  #open(): number {
    const descriptor = openSync(this.#target.file, "a", 0o600);
    const header = `${traceBegin},"format":${traceFormat},"part":${this.#part},${JSON.stringify(this.#target.header).slice(1)}\n`;
    this.#size = writeSync(descriptor, header);
    return descriptor;
  }
}

const writeSome = promisify(write);

/** The number of the part that a file is; 0 for an empty one. */
function partOf(file: string): number {
  const descriptor = openSync(file, "r");
  const begin = Buffer.alloc(100);
  try {
    const text = begin.toString("latin1", 0, readSync(descriptor, begin));
    return Number(/^[^}]*"part":(\d+)/.exec(text)?.[1] ?? 0);
  } finally {
    closeSync(descriptor);
  }
}
