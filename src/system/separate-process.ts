/**
 * A process for one thread that takes much memory: what the thread posts goes to standard output.
 *
 * Owns: the end of this process. Does not own: what its arguments are (`separate.ts`), what the thread does.
 * Invariant: it ends as soon as its standard input does, whatever its thread computes: nobody waits for it any more. Nothing
 * is written to any file.
 */
import { serialize } from "node:v8";
import { Worker } from "node:worker_threads";
import { packError } from "./sent-error.ts";
import { beginning, begins } from "./separate-beginning.ts";

const [url, data] = process.argv.slice(2) as [string, string];

// A terminal tells all processes; whoever started this one ends it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
const end = () => process.kill(process.pid, "SIGKILL");
process.stdin.once("close", end).once("error", end).resume();
process.stdout.once("error", end);

// What the thread prints is nobody's.
const worker = new Worker(new URL(url), { workerData: JSON.parse(data), stdout: true });
worker.on("message", (value) => (value === begins ? begin() : answer({ value })));
worker.once("error", (error) => answer({ error: packError(error) }));
worker.once("exit", (code) => answer({ error: { message: `the thread ended with code ${code}` } }));

let hasBegun = false;
let hasAnswered = false;

function begin(): void {
  hasBegun = true;
  process.stdout.write(beginning);
}

function answer(what: unknown): void {
  if (!hasBegun) return void end();
  if (hasAnswered) return;
  hasAnswered = true;
  const bytes = serialize(what);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  process.stdout.write(length);
  process.stdout.write(bytes, end);
}
