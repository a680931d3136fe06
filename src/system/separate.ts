/**
 * Running a thread in a process of its own, so that the memory that it takes goes with it.
 *
 * Owns: the processes, how one is started, when there can be none and the thread is one of this process. Does not own: what
 * such a process does (`separate-process.ts`), the threads (`../cluster/initdb-thread.ts`, `../sessions/rewrite-thread.ts`).
 * Invariant: a process ends with its answer, at its time limit, when it is abandoned, and soon after this process or this thread has ended in
 * whatever way, because then its standard input ends. One that has not come to begin costs only time.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { basename } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { deserialize } from "node:v8";
import { Worker } from "node:worker_threads";
import { type SentError, unpackError } from "./sent-error.ts";
import { beginning, begins } from "./separate-beginning.ts";

/** A thread that takes much memory. It posts `begins`, and then one message. */
interface SeparateThread {
  /** For a person, for example `initdb`. */
  readonly name: string;
  readonly url: URL;
  /** Its `workerData`: what JSON can say. */
  readonly data?: unknown;
  /** For the Node of its process. One that does not know them does not begin. */
  readonly flags?: readonly string[];
  /** In ms: one that has no answer by then hangs, or has been stopped. Seconds are usual, some more beside others that start. */
  readonly limitMs?: number;
}

const defaultLimitMs = 180_000;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;
type Answer<T> = { readonly value: T } | { readonly error: SentError };

// From sources this module is TypeScript, which Node runs as it is; the bundle has the process in a file of its own.
const processUrl = sibling("separate-process", import.meta.url);

/** Any other program may be an application with Node in it, which would begin once more. */
const isNode = /^node(js)?[\d.-]*(\.exe)?$/i;

const keptWords = 2000;
const lengthBytes = 8;

/** With their ends. */
const running = new Map<Child, Promise<unknown>>();
const abandoning = new AbortController();
/** Aborted when nobody waits for any of it any more, what another process makes included. */
export const abandoned: AbortSignal = abandoning.signal;

/** A module beside the one whose `import.meta.url` is given, by its name: in the bundle, or in the sources. */
export function sibling(name: string, url: string): URL {
  return new URL(`./${name}${url.endsWith(".ts") ? ".ts" : ".js"}`, url);
}

/** Resolves with the thread's message. Rejects with its error. */
export async function runSeparately<T>(thread: SeparateThread): Promise<T> {
  const answer = await runInProcess<T>(thread);
  if (abandoned.aborted) throw new Error(`${thread.name} was abandoned`);
  if (!answer) return runHere(thread);
  if ("error" in answer) throw unpackError(answer.error);
  return answer.value;
}

/** Nobody waits for them any more: those that run end at once, and no other begins. Resolves when they are gone. */
export async function abandonSeparate(): Promise<void> {
  abandoning.abort(new Error("the start was abandoned"));
  for (const child of running.keys()) child.kill("SIGKILL");
  await Promise.all(running.values());
}

/** Undefined if there can be no process. */
async function runInProcess<T>(thread: SeparateThread): Promise<Answer<T> | undefined> {
  const child = abandoned.aborted ? undefined : start(thread);
  if (!child) return undefined;
  const reader = new AnswerReader();
  let lastWords = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-keptWords);
  });
  child.stdout.on("data", (part: Buffer) => reader.take(part));
  child.stdin.on("error", () => {});
  const end = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  running.set(child, end);
  const { name, limitMs = defaultLimitMs } = thread;
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = child.kill("SIGKILL");
  }, limitMs);
  const ended = await end;
  clearTimeout(limit);
  running.delete(child);
  if (reader.answer) return deserialize(reader.answer) as Answer<T>;
  const why = isLate ? `had no answer after ${limitMs / 1000} s` : `ended (${ended})`;
  // In a thread of this process it might hang as well, and could not be killed there.
  if (!reader.hasBegun && !isLate) return undefined;
  return { error: { message: `the process of ${name} ${why} ${lastWords.trim()}`.trim() } };
}

/** Undefined if that cannot be. */
function start({ url, data, flags = [] }: SeparateThread): Child | undefined {
  if (!isNode.test(basename(process.execPath))) return undefined;
  const { NODE_OPTIONS, NODE_V8_COVERAGE: _, ...environment } = process.env;
  const options = NODE_OPTIONS && process.versions.pnp ? { NODE_OPTIONS: withoutInspector(NODE_OPTIONS) } : {};
  try {
    return spawn(process.execPath, [...flags, fileURLToPath(processUrl), url.href, JSON.stringify(data ?? null)], {
      // What is set there is for the program that has the server in it. Yarn's files cannot be read without.
      env: { ...environment, ...options },
      // That of this process may not exist any more.
      cwd: "/",
      stdio: ["pipe", "pipe", "pipe"],
      windowsHide: true,
    });
  } catch {
    // Node's permission model does not let it, say.
    return undefined;
  }
}

/** It would wait for a debugger, or take the port of another one. */
function withoutInspector(options: string): string {
  return options.replaceAll(/(^|\s)--inspect\S*/g, "");
}

/** What a process writes: see `separate-beginning.ts`. */
class AnswerReader {
  #head = Buffer.alloc(0);
  #body: Buffer | undefined;
  #length = 0;

  get hasBegun(): boolean {
    return this.#head.subarray(0, beginning.length).equals(beginning);
  }

  /** All of it, if that has come. */
  get answer(): Buffer | undefined {
    return this.#body && this.#length === this.#body.length ? this.#body : undefined;
  }

  take(part: Buffer): void {
    const headBytes = beginning.length + lengthBytes;
    const missing = Math.min(headBytes - this.#head.length, part.length);
    this.#head = Buffer.concat([this.#head, part.subarray(0, missing)]);
    if (this.#head.length < headBytes || !this.hasBegun) return;
    // In memory of its own, which is filled as it comes.
    this.#body ??= Buffer.from(new ArrayBuffer(Number(this.#head.readBigUInt64LE(beginning.length))));
    this.#length += part.copy(this.#body, this.#length, missing);
  }
}

async function runHere<T>({ name, url, data }: SeparateThread): Promise<T> {
  const worker = new Worker(url, { name: `pglite-devdb ${name}`, workerData: data });
  try {
    return await new Promise<T>((resolve, reject) => {
      worker.on("message", (message) => message !== begins && resolve(message));
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the thread of ${name} ended with code ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}
