/**
 * One server process of a target.
 *
 * Owns: starting it, its ready line, its orderly end. Does not own: what it serves, or what happens to it when the
 * benchmark is interrupted (`leftovers.ts`).
 * Invariant: a process that did not become ready has been ended when the start rejects, and the error has its last words.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { holdChild } from "./leftovers.ts";

/** How to start a server process. */
interface ServerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** As whom it runs; as ourselves by default. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** The signal that asks for an orderly end, and the one that ends it at once but still cleanly. */
  readonly stopSignal: NodeJS.Signals;
  readonly haltSignal: NodeJS.Signals;
}

const readyMs = 60_000;
const stopMs = 10_000;

/** A running server process. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves when it has exited and its output has been read. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;
  readonly #firstLine: Promise<string | undefined>;
  #lastWords = "";

  constructor(command: ServerCommand) {
    this.#stopSignal = command.stopSignal;
    this.#child = spawn(command.file, command.args, {
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      ...(command.user ?? {}),
      env: cleanEnvironment(),
      stdio: ["pipe", "pipe", "pipe"],
    });
    holdChild(this.#child, command.haltSignal);
    this.pid = this.#child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
      this.#child.once("error", (error) => {
        this.#lastWords += error.message;
        resolve();
      });
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-2000);
    });
    const lines = createInterface({ input: this.#child.stdout! });
    this.#firstLine = new Promise((resolve) => {
      lines.once("line", resolve);
      lines.once("close", () => resolve(undefined));
    });
  }

  /** The first line of its standard output. Rejects, and ends the process, when none came within a minute. */
  async readyLine(): Promise<string> {
    const line = await this.raceExit(this.#firstLine);
    if (line !== undefined) return line;
    await this.stop();
    throw new Error(`it ended without a ready line: ${this.#lastWords.trim()}`);
  }

  /** `work`, or a rejection if the process exits first or a minute passes; the process has ended when it rejects. */
  async raceExit<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`not ready after ${readyMs / 1000} s`), readyMs);
    });
    const ended = this.exited.then(() => "it ended");
    try {
      const first = await Promise.race([work.then((value) => ({ value })), overdue, ended]);
      if (typeof first === "object") return first.value;
      await this.stop();
      throw new Error(`${first}: ${this.#lastWords.trim()}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks it to end, and kills it when it has not after ten seconds. Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill(this.#stopSignal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMs);
    await this.exited;
    clearTimeout(timer);
  }
}

// The options that a person has set for the product must not change what is measured.
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG)/.test(name)));
}
