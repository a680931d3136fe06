/**
 * Clients that write to a database whose disk has faults, and go on after errors.
 *
 * Owns: their connections, and what they are told. Does not own: the transactions (`../kill-nine/writers.ts`).
 * Invariant: every statement ends, with an answer or an error, within `patienceMs`: what does not is a finding.
 */
import { Client } from "pg";
import type { Random } from "../../src/trace/storm/random.ts";
import type { Ledger } from "../kill-nine/ledger.ts";
import { writeOnce } from "../kill-nine/writers.ts";

/** Also a new engine's recovery, on a busy machine, is over by then. */
const patienceMs = 60_000;

/** Beside the rows: what else makes PostgreSQL write, extend, truncate and remove files. */
const others = [
  "checkpoint",
  "vacuum rows",
  "reindex table rows",
  "create table %s as select g, repeat('x', 500) from generate_series(1, 3000) g",
  "drop table if exists %s",
  "truncate %s",
  "select count(*) from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_proc p on p.oid <> c.oid where a.attnum = -1",
] as const;

/** Writers that are at work. */
interface FaultyWriters {
  /** What the clients have been told that is no answer. */
  readonly told: string[];
  /** Has them end; rejects if one waits in vain. */
  stop(): Promise<void>;
}

/** Starts `count` writers, and one client that does other things. */
export function startFaultyWriters(
  url: string,
  count: number,
  ledger: Ledger,
  next: number[],
  random: Random,
): FaultyWriters {
  const told: string[] = [];
  let isStopping = false;
  const work = async (name: string, once: (run: (sql: string) => Promise<unknown>) => Promise<unknown>) => {
    while (!isStopping) {
      const client = new Client({ connectionString: url });
      client.on("error", (error) => told.push(sentence(error)));
      client.on("notice", ({ severity, message }) => severity === "WARNING" && told.push(String(message)));
      try {
        await inTime(client.connect(), `${name}: connect`);
        while (!isStopping) await once((sql) => inTime(client.query(sql), `${name}: ${sql.slice(0, 60)}`));
      } catch (error) {
        if (error instanceof WaitedInVain) throw error;
        told.push(sentence(error));
      } finally {
        // It may have an open transaction: that goes with its connection.
        client.end().catch(() => {});
      }
    }
  };
  const all = Promise.all([
    ...Array.from({ length: count }, (_, writer) =>
      work(`writer ${writer}`, (run) => writeOnce(writer, run, ledger, next, random)),
    ),
    work("the other client", (run) => run(others[random.below(others.length)]!.replace("%s", `t${random.below(3)}`))),
  ]);
  all.catch(() => {});
  return {
    told,
    stop: async () => {
      isStopping = true;
      await all;
    },
  };
}

class WaitedInVain extends Error {}

async function inTime<T>(answer: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new WaitedInVain(`${what}: nothing in ${patienceMs / 1000} s`)), patienceMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => {});
  }
}

function sentence(error: unknown): string {
  const { severity, code, message, detail } = error as Record<string, string | undefined>;
  return [severity, code, message, detail].filter((part) => part !== undefined).join(" ");
}
