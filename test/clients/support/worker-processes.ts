/**
 * Processes of an application that work until they are told to stop.
 *
 * Owns: running them beside something else, their end, their reports. Does not own: what they do.
 * Invariant: all of them have ended when `besideProcesses` settles. They stop at the end of their standard input, and
 * print one line of JSON then.
 */
import { join } from "node:path";
import type pg from "pg";
import { waitUntil } from "../../support/wait-until.ts";
import { run } from "./run-program.ts";

const programs = join(import.meta.dirname, "..", "programs");

/**
 * Runs the program of test/clients/programs once for each of `names`, as `URL NAME`, and `work` meanwhile. Resolves with
 * what they reported, in their order; rejects as `work` does, or with the output of one that did not end well.
 */
export async function besideProcesses<Report>(
  processes: readonly { readonly file: string; readonly name: string }[],
  url: string,
  work: () => Promise<void>,
): Promise<Report[]> {
  let end!: () => void;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const running = processes.map(async ({ file, name }) => {
    const result = await run(process.execPath, [join(programs, file), url, name], {
      input: () => over,
      limitMs: 200_000,
    });
    if (result.code !== 0) throw new Error(result.all);
    return JSON.parse(result.stdout) as Report;
  });
  const ended = Promise.all(running);
  try {
    // One that fails must not be waited for in vain.
    await Promise.race([work(), ended.then(() => new Promise<never>(() => {}))]);
  } finally {
    end();
    await Promise.allSettled(running);
  }
  return await ended;
}

/** Holds processes back until `count` of them wait at the same time, with advisory locks, as applications elect a leader. */
export async function openGate(keeper: pg.Client, count: number): Promise<void> {
  const text = "select count(*)::int as count from pg_locks where locktype = 'advisory' and objid = 1 and not granted";
  const waiting = async () => (await keeper.query<{ count: number }>(text)).rows[0]!.count;
  await waitUntil(`${count} processes wait at the gate`, async () => (await waiting()) === count, 300_000);
  await keeper.query("select pg_advisory_unlock(1)");
}
