/**
 * Clients that change the subjects until their server is killed, and the subjects of a run.
 *
 * Owns: their connections, and which subjects a server can have. Does not own: what is changed (`subjects/`), what the
 * clients know (`subject.ts`).
 * Invariant: each subject is changed by one client at a time; any error before the kill is a finding.
 */
import { Client } from "pg";
import type { Random } from "../../src/trace/storm/random.ts";
import { type Run, Tracked } from "./subject.ts";
import { databases } from "./subjects/databases.ts";
import { indexes } from "./subjects/indexes.ts";
import { largeObjects } from "./subjects/large-objects.ts";
import { materializedView } from "./subjects/materialized-view.ts";
import { preparedTransactions } from "./subjects/prepared-transactions.ts";
import { rewrittenTable } from "./subjects/rewritten-table.ts";
import { sequence } from "./subjects/sequence.ts";
import { tablespaces } from "./subjects/tablespaces.ts";
import { unloggedTable } from "./subjects/unlogged-table.ts";

/** What is known of the objects, whatever their state is. */
type AnyTracked = Tracked<unknown>;

/** The subjects that a server with such sessions can have; `log` is told what is left out, and why. */
export function subjectsOf(sessions: "shared" | "isolated", log: (line: string) => void): readonly AnyTracked[] {
  const canConnect = sessions === "isolated";
  const subjects = [
    new Tracked(databases(canConnect)),
    new Tracked(tablespaces),
    new Tracked(largeObjects),
    new Tracked(sequence),
    new Tracked(unloggedTable),
    new Tracked(rewrittenTable),
    new Tracked(materializedView),
    new Tracked(indexes),
    new Tracked(preparedTransactions),
  ];
  if (!canConnect) {
    log("left out with shared sessions: what is in databases other than postgres, which nobody can connect to");
  }
  return subjects as unknown as AnyTracked[];
}

/** A connection to the shared database; others are opened and closed for a statement. */
interface Runner {
  readonly run: Run;
  end(): Promise<void>;
}

/** Connects. */
export async function openRunner(url: string, settings?: string): Promise<Runner> {
  const client = await connect(url);
  const run: Run = async (sql, database) => {
    if (database === undefined) return lastRows(await client.query(sql));
    const other = await connect(url, database);
    try {
      return lastRows(await other.query(sql));
    } finally {
      await other.end().catch(() => {});
    }
  };
  if (settings !== undefined) await run(settings);
  return { run, end: () => client.end().catch(() => {}) };
}

async function connect(url: string, database?: string): Promise<Client> {
  const address = new URL(url);
  if (database !== undefined) address.pathname = `/${database}`;
  const client = new Client({ connectionString: address.href });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** The rows of the last statement that has any. */
function lastRows(result: unknown): readonly Record<string, unknown>[] {
  type Result = { readonly rows: readonly Record<string, unknown>[] };
  const results = (Array.isArray(result) ? result : [result]) as readonly Result[];
  return results.findLast(({ rows }) => rows.length > 0)?.rows ?? [];
}

async function changeOnce(tracked: AnyTracked, run: Run, random: Random): Promise<void> {
  const { statement, database } = tracked.begin(random);
  try {
    await run(statement, database);
  } catch (error) {
    if (tracked.refuse((error as { code?: string }).code)) return;
    throw new Error(`${statement}: ${String(error)}`, { cause: error });
  }
  tracked.settle();
}

/** Clients that are at work. */
interface Changers {
  /** Resolves when all have ended; call `stop` when the server is being ended, not before. */
  readonly ended: Promise<void>;
  /** Resolves when so many changes have been answered. */
  answered(count: number): Promise<void>;
  stop(): void;
}

/** Has each of these subjects changed by a client. */
export function startChangers(url: string, subjects: readonly AnyTracked[], random: Random): Changers {
  let stopping = false;
  let left = Number.POSITIVE_INFINITY;
  let reached = () => {};
  const work = async (tracked: AnyTracked) => {
    try {
      const { run, end } = await openRunner(url, tracked.subject.settings);
      try {
        while (!stopping) {
          await changeOnce(tracked, run, random);
          if (--left <= 0) reached();
        }
      } finally {
        await end();
      }
    } catch (error) {
      if (!stopping) throw new Error(`${tracked.subject.name}: ${String(error)}`, { cause: error });
    }
  };
  const ended = Promise.all(subjects.map(work)).then(() => {});
  ended.catch(() => {});
  return {
    ended,
    answered: (count) =>
      new Promise((resolve) => {
        left = count;
        reached = resolve;
        if (count <= 0) resolve();
      }),
    stop: () => {
      stopping = true;
    },
  };
}
