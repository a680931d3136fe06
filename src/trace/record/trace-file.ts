/**
 * The file that a trace is written into.
 *
 * Owns: the buffer in front of it, its size, when a new part begins. Does not own: what a line says (`recorder.ts`).
 * Invariant: nobody waits for it: lines are kept until the disk has taken the ones before them, and what the buffer cannot
 * hold is dropped, which the next line says. FILE and FILE.1, the part before it, are never more than the limit together.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, statSync, write, writeSync } from "node:fs";
import { promisify } from "node:util";
import type { TraceTarget } from "../../engine/listener.ts";
import { UsageError } from "../../errors.ts";

/** What every trace begins with. */
export const traceFormat = 1;

const mostBufferedBytes = 16 * 1024 * 1024;
const blockBytes = 64 * 1024;
/** So much is written at once, without waiting for more. */
const writeAtBytes = blockBytes / 2;
const writeAfterMs = 50;

/**
 * Makes the file, which nobody else may read. Throws a `UsageError` where that cannot be, and for a file that is there and is
 * no trace, or is `source`, of which it is going to be made, or a part of that. Another trace that is there is replaced. `shown`: the
 * file that an error names.
 */
export function createTraceFile(file: string, option: string, source?: string, shown = file): void {
  orUsageError(shown, option, () => {
    refuse(file, option, source);
    removeTraceFile(file);
    closeSync(openSync(file, "wx", 0o600));
  });
}

/** Throws a `UsageError` for a file that `createTraceFile` would not replace. */
export function checkTraceFile(file: string, option: string, source?: string): void {
  orUsageError(file, option, () => refuse(file, option, source));
}

function orUsageError(file: string, option: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${option}: cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function refuse(file: string, option: string, source: string | undefined): void {
  const used = source === undefined ? [] : partsOf(source).flatMap(identityOf);
  const own = partsOf(file).find((part) => identityOf(part).some((identity) => used.includes(identity)));
  if (own) throw new UsageError(`${option}: ${own} is what is read; name another file to write`);
  const foreign = partsOf(file).find(isForeign);
  if (foreign) throw new UsageError(`${option}: ${foreign} is there and is not a trace; it is not overwritten`);
}

/** Which file it is, by whatever name; none where there is none. */
function identityOf(file: string): string[] {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found ? [`${found.dev}.${found.ino}`] : [];
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
export const traceBegin = '{"trace":"pglite-devdb"';

/** The last bytes of every trace whose header says `ends`, and which was not cut off. */
export const traceEnd = '"end":true}\n';

/** The file and the part before it, which may not be there. */
function partsOf(file: string): string[] {
  return [file, `${file}.1`];
}

/** Removes a trace; what is none stays. */
export function removeTraceFile(file: string): void {
  for (const name of partsOf(file)) if (!isForeign(name)) rmSync(name, { force: true });
}

/** An open one. */
export class TraceFile {
  readonly #target: TraceTarget;
  readonly #onFailure: (sentence: string) => void;
  readonly #longestLine: number;
  #descriptor: number;
  #part: number;
  #size = 0;
  /** Full of lines that the disk has not been given. */
  #full: Buffer[] = [];
  #fullBytes = 0;
  /** Lines are put down at once, as bytes: as text they would be garbage that has grown old. */
  #block: Buffer = Buffer.allocUnsafe(blockBytes);
  #length = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;
  /** `failed`: it could not be written, and takes nothing any more. */
  #state: "open" | "failed" | "closed" = "open";
  #isEnding = false;
  #failedAt: Date | undefined;

  /** Opens a file that has been made, as the next part if it has lines. `onFailure`: it could not be written, said at once and at the end. */
  constructor(target: TraceTarget, onFailure: (sentence: string) => void) {
    this.#target = target;
    this.#onFailure = onFailure;
    this.#longestLine = target.limitBytes / 2 - blockBytes;
    const before = partOf(target.file);
    if (before > 0) renameSync(target.file, `${target.file}.1`);
    this.#part = before + 1;
    this.#descriptor = this.#open(false);
  }

  /** Takes a line, with its line break; ASCII only. One that no part can hold is dropped, too. */
  add(line: string): void {
    const isTooMuch = this.#fullBytes + line.length > mostBufferedBytes || line.length > this.#longestLine;
    if (this.#state !== "open" || this.#isEnding || isTooMuch) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const words = `{"dropped":${this.#dropped}}\n`;
      this.#dropped = 0;
      this.#append(words);
    }
    this.#append(line);
    if (this.#timer === undefined && !this.#writing) this.#timer = setTimeout(this.#write, writeAfterMs);
  }

  /** Writes what is left; takes nothing any more. Idempotent. */
  async close(): Promise<void> {
    this.#isEnding = true;
    while (this.#state === "open" && (this.#writing || this.#length > 0 || this.#full.length > 0)) {
      this.#write();
      await this.#writing;
    }
    clearTimeout(this.#timer);
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (this.#failedAt) {
      const time = [this.#failedAt.getHours(), this.#failedAt.getMinutes(), this.#failedAt.getSeconds()];
      const words = time.map((part) => String(part).padStart(2, "0")).join(":");
      this.#onFailure(`the trace ${this.#target.file} lacks the messages after ${words}`);
    }
    closeSync(this.#descriptor);
  }

  #append(line: string): void {
    if (this.#length + line.length > blockBytes) {
      this.#takeBlock();
      if (line.length > blockBytes) {
        this.#full.push(Buffer.from(line, "latin1"));
        this.#fullBytes += line.length;
        return;
      }
    }
    this.#length += this.#block.write(line, this.#length, "latin1");
  }

  /** The block is one of those that are to be written. */
  #takeBlock(): void {
    if (this.#length === 0) return;
    this.#full.push(this.#block.subarray(0, this.#length));
    this.#fullBytes += this.#length;
    this.#block = Buffer.allocUnsafe(blockBytes);
    this.#length = 0;
    if (this.#fullBytes >= writeAtBytes) this.#write();
  }

  readonly #write = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing || this.#state !== "open") return;
    if (this.#fullBytes === 0) this.#takeBlock();
    const [bytes] = this.#full.splice(0, 1);
    if (!bytes) return;
    this.#fullBytes -= bytes.length;
    this.#writing = this.#put(bytes).then(
      () => {
        this.#writing = undefined;
        if (this.#fullBytes > 0) this.#write();
        else if (this.#length > 0) this.#timer ??= setTimeout(this.#write, writeAfterMs);
      },
      (error: Error) => {
        this.#writing = undefined;
        this.#state = "failed";
        this.#failedAt = new Date();
        this.#onFailure(`the trace ${this.#target.file} ends here: ${error.message}`);
      },
    );
  };

  async #put(bytes: Buffer): Promise<void> {
    if (this.#size + bytes.length > this.#target.limitBytes / 2) {
      const before = this.#descriptor;
      renameSync(this.#target.file, `${this.#target.file}.1`);
      this.#part++;
      this.#descriptor = this.#open(true);
      closeSync(before);
    }
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length; ) at += (await writeSome(this.#descriptor, bytes, at)).bytesWritten;
  }

  /** Begins a part; with `continues` the connections of the one before are open still. */
  #open(continues: boolean): number {
    const descriptor = openSync(this.#target.file, "a", 0o600);
    const header = `${traceBegin},"format":${traceFormat},"part":${this.#part},"continues":${continues},"ends":true,${JSON.stringify(this.#target.header).slice(1)}\n`;
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
