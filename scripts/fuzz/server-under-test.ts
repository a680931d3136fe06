/**
 * The server that is fuzzed, in a process of its own.
 *
 * Owns: starting it, what it prints, what it holds (memory, open files), its end. Does not own: what is sent to it.
 * Invariant: it does not outlive this process, unless that is killed: it is on the list of `bench/leftovers.ts` and
 * killed at our exit.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { HeldMemory } from "../bench/held-memory.ts";
import { holdChild } from "../bench/leftovers.ts";
import { type Endpoint, withinMs } from "./client.ts";

/** Which library serves: this product, or the unpatched one. */
export type Target = "ours" | "stock";

/** What a process holds; undefined where the system does not say. */
export interface Vitals {
  /** Resident; part of it is garbage, and what allocators keep. */
  readonly memoryMb: number | undefined;
  /** What is in use on the heaps of all threads and in buffers, after a collection of garbage. */
  readonly heldMb?: number | undefined;
  readonly handles: number | undefined;
}

/** Enough for a case, few enough that connections which are not given back show up soon. */
export const maxConnections = 30;

/** So short that a client which stops in the middle and stays does not make a probe late. */
export const stopTimeoutMs = 200;

const crash =
  /\b(?:Uncaught|Unhandled|RuntimeError|TypeError|RangeError|ReferenceError|AssertionError|FATAL ERROR|PANIC|unreachable|Aborted|MaxListeners)|^\s+at .+:\d+:\d+\)?$/m;
const file = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** A running server. */
export class ServerUnderTest {
  readonly endpoint: Endpoint;
  readonly #child: ChildProcess;
  readonly #held: HeldMemory | undefined;
  #errors = "";
  #looked = 0;
  readonly #kill = (): void => {
    this.#child.kill("SIGKILL");
  };

  private constructor(child: ChildProcess, endpoint: Endpoint, held: HeldMemory | undefined) {
    this.#child = child;
    this.#held = held;
    this.endpoint = endpoint;
    child.once("exit", () => held?.drop());
    process.once("exit", this.#kill);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      // Only the end counts where it talks without an end.
      const all = this.#errors + text;
      this.#errors = all.slice(-100_000);
      this.#looked = Math.max(0, this.#looked - (all.length - this.#errors.length));
    });
  }

  /** Starts one with an empty database in memory and makes the table `t`. `program` is the built command line. */
  static async start(target: Target, program = file("../../dist/cli.js")): Promise<ServerUnderTest> {
    const timeouts = ["--stall-timeout", "--transaction-idle-timeout"].flatMap((flag) => [flag, String(stopTimeoutMs)]);
    const limit = ["--max-connections", String(maxConnections)];
    // A client that does not read holds up its own session only; with one session for all it would hold up everybody.
    const sessions = ["--sessions", "isolated"];
    const start = [program, "start", "--port", "0", "--migrations", "none", "-o", "json"];
    const ours = [...start, ...sessions, ...limit, ...timeouts];
    const args = target === "ours" ? ours : [file("../bench/stock-server.ts")];
    const environment = Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG)/.test(name));
    const held = target === "ours" ? new HeldMemory() : undefined;
    const child = spawn(process.execPath, [...(held?.nodeArguments ?? []), ...args], {
      cwd: target === "ours" ? tmpdir() : process.cwd(),
      env: { ...Object.fromEntries(environment), ...held?.environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    holdChild(child, "SIGKILL");
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([once(lines, "line"), once(child, "close").then(() => [undefined])]);
    if (typeof first[0] !== "string") throw new Error(`the server (${args[0]}) ended without a ready line`);
    const { port } = JSON.parse(first[0]) as { port: number };
    return new ServerUnderTest(child, { host: "127.0.0.1", port }, held);
  }

  /** What is wrong with the process since the last look: that it has ended, or what it printed. */
  troubles(): string[] {
    const news = this.#errors.slice(this.#looked);
    this.#looked = this.#errors.length;
    const ended = this.hasEnded ? [`the server ended: ${this.#child.signalCode ?? this.#child.exitCode}`] : [];
    return crash.test(news) ? [...ended, `on its standard error: ${news.trim().slice(0, 2_000)}`] : ended;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it holds now. */
  vitals(): Vitals {
    const { pid } = this.#child;
    try {
      const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
      return {
        memoryMb: resident === undefined ? undefined : Number(resident) / 1024,
        handles: readdirSync(`/proc/${pid}/fd`).length,
      };
    } catch {
      return { memoryMb: undefined, handles: undefined };
    }
  }

  /** What it has in use without garbage, in MB, if it says; see `HeldMemory`. */
  async heldMb(nudge: () => Promise<unknown>): Promise<number | undefined> {
    return this.hasEnded ? undefined : this.#held?.read(this.#child.pid!, nudge);
  }

  /** Ends it: asks first, and returns what was wrong with that. */
  async stop(): Promise<string[]> {
    const closed = once(this.#child, "close");
    const asked = this.hasEnded || this.#child.kill("SIGTERM");
    const isGone = this.hasEnded || (asked && (await withinMs(8_000, closed)));
    if (!isGone) this.#kill();
    process.off("exit", this.#kill);
    return isGone ? [] : ["the server did not end within 8 s of SIGTERM"];
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    const closed = once(this.#child, "close");
    if (!this.hasEnded) {
      this.#kill();
      await withinMs(5_000, closed);
    }
    process.off("exit", this.#kill);
  }
}
