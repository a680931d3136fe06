/**
 * pg_hba.conf, parsed once for all sessions.
 *
 * Owns: having PostgreSQL parse it before the fork, as its postmaster does, and whether a session may do with that. Does not own: what the
 * rules mean (PostgreSQL), when a session asks (`session.ts`).
 * Why: PGlite parses the file whenever a connection is made, which took a session's start a fifth of its time.
 * Invariant: who does not parse it has what that would come to: the file has the bytes that were parsed, and refers to no other file.
 */

/** emscripten's `FS`, as far as it is needed. */
interface Files {
  readFile(path: string): Uint8Array;
  stat(path: string): { readonly ino: number; readonly size: number; readonly mtime: Date; readonly ctime: Date };
}

/** A file that has been changed more recently may change again, in ms, and have the same times. */
const settledMs = 100;

/** Lines with nothing but a comment; what a file may refer to others by, or go on with in its next line. */
const comments = /^[ \t]*#.*$/gm;
const reference = /@|include|\\$/m;

/** What a process has parsed. */
export interface ParsedRules {
  /** The file, and what it contained. */
  readonly path: string;
  readonly text: string;
}

/** See the head of the file. */
export class AccessRules {
  readonly #files: Files;
  readonly #path: string;
  /** What was parsed; undefined where every session has to do that itself. */
  #parsed: Buffer | undefined;
  /** The stamp of the file when it was what was parsed, and had been for a while. */
  #settled: string | undefined;
  /** The process that has asked once, and was answered that they hold. */
  #asked: number | undefined;
  #changed = Number.POSITIVE_INFINITY;

  /** Of the file at `path`, of which the process has parsed `text` already, if that is not undefined. */
  constructor(files: Files, path: string, text?: string) {
    this.#files = files;
    this.#path = path;
    this.#parsed = text === undefined ? undefined : Buffer.from(text, "latin1");
  }

  /** What was parsed; undefined for nothing. */
  get parsed(): ParsedRules | undefined {
    return this.#parsed && { path: this.#path, text: this.#parsed.toString("latin1") };
  }

  /**
   * Has the loaded process parse the file by `load`, `load_hba`, before others are forked of it. What fails, each of them is told itself.
   */
  parse(load: () => number): void {
    const text = this.#read();
    if (!text || reference.test(text.toString("latin1").replaceAll(comments, ""))) return;
    if (load() !== 0) this.#parsed = text;
  }

  /** The hook of `load_hba`, in a fork of that process: whether there is nothing to do. A start asks twice, and the file is looked at once. */
  hold(pid: number): boolean {
    if (this.#parsed === undefined) return false;
    const isAgain = pid === this.#asked;
    const isSame = isAgain || this.#isSame(this.#parsed);
    this.#asked = isSame && !isAgain ? pid : undefined;
    return isSame;
  }

  #isSame(parsed: Buffer): boolean {
    const stamp = this.#stamp();
    if (stamp !== undefined && stamp === this.#settled) return true;
    const isSame = this.#read()?.equals(parsed) === true;
    this.#settled = isSame && stamp !== undefined && this.#changed < Date.now() - settledMs ? stamp : undefined;
    return isSame;
  }

  /** What changes when the file does. */
  #stamp(): string | undefined {
    try {
      const { ino, size, mtime, ctime } = this.#files.stat(this.#path);
      this.#changed = Math.max(mtime.getTime(), ctime.getTime());
      return `${ino} ${size} ${mtime.getTime()} ${ctime.getTime()}`;
    } catch {
      return undefined;
    }
  }

  #read(): Buffer | undefined {
    try {
      return Buffer.from(this.#files.readFile(this.#path));
    } catch {
      // PostgreSQL says why.
      return undefined;
    }
  }
}
