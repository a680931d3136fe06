/**
 * A native PostgreSQL as a process.
 *
 * Owns: its start, its words, its end. Does not own: its files (`cluster.ts`), its settings (`native.ts`).
 * Invariant: it listens on this machine only, and does not outlive this process, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { ExitCode } from "../../errors.ts";
import type { Log } from "../../options.ts";
import { withoutPostgres } from "./cluster.ts";
import { guardServer } from "./guard.ts";
import type { ProgramUser } from "./programs.ts";

/** What is started. */
interface PostgresOptions {
  readonly program: string;
  readonly data: string;
  /** What is removed with it, if this process cannot do that any more. */
  readonly temporary: string | undefined;
  readonly user: ProgramUser;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Is told when it has ended by itself, in its own words. */
  readonly onGone: (error: Error) => void;
}

/** How long a fast shutdown may take, and an immediate one. */
const graceMs = { fast: 3_000, immediate: 1_000 };
const lookAgainMs = 10;
/** What a start that failed shows of its words, in lines. */
const shownLines = 20;
/** What a person wants to see of a server that runs. */
const worthALine = /^PANIC: |^LOG: +(duration|statement|parse|bind|execute)\b/;

/** A server that was started. */
export class PostgresProcess {
  readonly #child: ChildProcess;
  readonly #options: PostgresOptions;
  readonly #exited: Promise<string>;
  readonly #endGuard: () => void;
  #words: string[] = [];
  #state: "starting" | "running" | "ending" | "gone" = "starting";
  #why: Error | undefined;

  constructor(options: PostgresOptions) {
    this.#options = options;
    const { program, data, settings, user, temporary } = options;
    const all = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.#child = spawn(program, ["-D", data, ...all], {
      cwd: dirname(data),
      env: withoutPostgres(),
      // A group of its own: Ctrl-C is for this process, which ends the clients' work first.
      detached: process.platform !== "win32",
      stdio: ["ignore", "ignore", "pipe"],
      ...user,
    });
    this.#endGuard = guardServer(this.#child, temporary);
    createInterface({ input: this.#child.stderr! }).on("line", (line) => this.#hear(line));
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
      this.#child.once("close", (code, signal) =>
        resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
      );
    });
    void this.#exited.then((how) => this.#ended(how));
  }

  /** Resolves when it lets clients in. Rejects with its own words. */
  async ready(signal: AbortSignal): Promise<void> {
    while (this.#state === "starting") {
      signal.throwIfAborted();
      if (this.#isReady()) this.#state = "running";
      else await delay(lookAgainMs);
    }
    if (this.#why) throw this.#why;
  }

  /** Ends it. Rejects if it had ended by itself. */
  async close(): Promise<void> {
    if (this.#state === "gone") throw this.#why;
    this.#state = "ending";
    this.#child.kill("SIGINT");
    if (await this.#endsWithin(graceMs.fast)) return;
    this.#options.log("error", "closing: PostgreSQL did not shut down in time; it will recover from its log");
    this.#child.kill("SIGQUIT");
    if (await this.#endsWithin(graceMs.immediate)) return;
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  async #endsWithin(ms: number): Promise<boolean> {
    const timeout = new AbortController();
    const late = delay(ms, false, { signal: timeout.signal }).catch(() => false);
    const ended = await Promise.race([this.#exited.then(() => true), late]);
    timeout.abort();
    return ended;
  }

  /** The last line of postmaster.pid is its state, as pg_ctl reads it. */
  #isReady(): boolean {
    try {
      const [pid, , , , , , , state] = readFileSync(join(this.#options.data, "postmaster.pid"), "utf8").split("\n");
      return Number(pid) === this.#child.pid && state?.trim() === "ready";
    } catch {
      return false;
    }
  }

  #hear(line: string): void {
    const words = line.replace(
      /^.*?(?=\b(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY): )/,
      "",
    );
    this.#words = [...this.#words.slice(1 - shownLines), words];
    if (this.#state === "starting") return;
    this.#options.log(
      worthALine.test(words) && this.#state === "running" ? "info" : "debug",
      words.replace(/^LOG: +/, ""),
    );
  }

  #ended(how: string): void {
    this.#endGuard();
    const before = this.#state;
    this.#state = "gone";
    if (before === "ending") return;
    const what = before === "starting" ? "PostgreSQL does not start" : "PostgreSQL has ended by itself";
    const said = this.#words.map((line) => `\n  ${line}`).join("");
    this.#why = Object.assign(new Error(`${what}: it ${how}${said}`), { exitCode: ExitCode.failure });
    if (before === "running") this.#options.onGone(this.#why);
  }
}
