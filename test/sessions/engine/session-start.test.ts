/** What the start of a session reads: its server's rules for who may connect once for all, of what it has to read much at a time, and nothing of what is empty. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

interface Stream {
  readonly path: string;
}

/** emscripten's `FS`, as far as it is needed. */
interface Files {
  open(path: string, ...rest: unknown[]): Stream;
  read(stream: Stream, ...rest: unknown[]): number;
  readFile(path: string, options?: object): Uint8Array;
  writeFile(path: string, text: Uint8Array | string): void;
  unlink(path: string): void;
}

let host: SessionHost;
let files: Files;
let rules = "";
let original: Uint8Array;
/** The names of the files that were opened, and of each that was read from. */
const opened: string[] = [];
const reads: string[] = [];
const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

beforeAll(async () => {
  host = await openHost({ dataDir: "memory://", maxSessions: 8 });
  files = host.machine.bundled.files as unknown as Files;
  const first = await SqlSession.open(host);
  [rules] = (await first.rows("show hba_file")) as [string];
  await first.close();
  original = files.readFile(rules).slice();
  const { open, read } = files;
  files.open = (path, ...rest) => {
    opened.push(nameOf(String(path)));
    return open.call(files, path, ...rest);
  };
  files.read = (stream, ...rest) => {
    reads.push(nameOf(stream.path));
    return read.call(files, stream, ...rest);
  };
});
afterAll(() => host?.close());

/** What a session answers that begins now, or why there is none. */
async function answerOf(sql: string): Promise<string[] | string> {
  try {
    const session = await SqlSession.open(host);
    const rows = await session.rows(sql);
    await session.close();
    return rows;
  } catch (error) {
    return (error as Error).message;
  }
}

async function parses(): Promise<number> {
  opened.length = 0;
  expect(await answerOf("select 1")).toEqual(["1"]);
  return opened.filter((name) => name === "pg_hba.conf").length;
}

test("pg_hba.conf is read by no session while it is as it was when the server started", async () => {
  // For a moment after a change its time says nothing.
  await waitUntil("the file is settled", async () => (await parses()) === 0);
  expect(await parses()).toBe(0);
  expect(await parses()).toBe(0);
});

test("what has been changed in pg_hba.conf is what the next session has, and again when it is as it was", async () => {
  const refused = /could not load .*pg_hba\.conf/;
  files.writeFile(rules, "nonsense\n");
  expect(await answerOf("select 1")).toMatch(refused);
  files.writeFile(rules, original);
  expect(await answerOf("select 1")).toEqual(["1"]);
  // As many bytes, in the same moment.
  const broken = original.slice();
  broken.set(Buffer.from("local all nobody"), original.length - 100);
  files.writeFile(rules, broken);
  expect(await answerOf("select 1")).toMatch(refused);
  files.unlink(rules);
  expect(await answerOf("select 1")).toMatch(refused);
  files.writeFile(rules, "local all all reject\nhost all all all reject\n");
  expect(await answerOf("select 1")).toMatch("pg_hba.conf rejects connection");
  files.writeFile(rules, "# all of them\nlocal all all trust\nhost all all all trust\n");
  expect(await parses()).toBeGreaterThan(0);
  files.writeFile(rules, original);
  await waitUntil("the file is settled", async () => (await parses()) === 0);
});

test("a session reads PostgreSQL's cache of its system tables in pieces of 16 kB", async () => {
  expect(await answerOf("select 1")).toEqual(["1"]);
  reads.length = 0;
  const session = await SqlSession.open(host);
  const pieces = reads.filter((name) => name === "pg_internal.init").length;
  const [bytes] = await session.rows(
    "select sum((pg_stat_file(path)).size) from (select 'global/pg_internal.init' path union all select format('base/%s/pg_internal.init', oid) from pg_database where datname = current_database()) p",
  );
  await session.close();
  expect(Number(bytes)).toBeGreaterThan(100_000);
  // Of two files, each in whole pieces, the last one and the end; a piece comes into two places, the reader's own and the buffer.
  expect(pieces).toBeLessThanOrEqual(2 * (Math.ceil(Number(bytes) / 16_384) + 4));
  expect(pieces).toBeGreaterThan(0);
});

const searches =
  "select idx_scan from pg_stat_sys_indexes where indexrelname = 'pg_db_role_setting_databaseid_rol_index'";

/** How often the settings of databases and roles are searched for something in three starts. */
async function searchesOfThreeStarts(): Promise<number> {
  const before = Number((await answerOf(searches))[0]);
  for (let start = 0; start < 2; start++) expect(await answerOf("select 1")).toEqual(["1"]);
  return Number((await answerOf(searches))[0]) - before;
}

test("settings of databases and roles are searched by no session while there are none, and what is set is what the next one has", async () => {
  expect(await searchesOfThreeStarts()).toBe(0);
  await answerOf("alter role postgres set work_mem = '5MB'");
  expect(await answerOf("show work_mem")).toEqual(["5MB"]);
  await answerOf("alter database postgres set statement_timeout = '77s'");
  await answerOf("alter role postgres in database postgres set work_mem = '6MB'");
  expect(await answerOf("select current_setting('work_mem') || current_setting('statement_timeout')")).toEqual([
    "6MB77s",
  ]);
  expect(await searchesOfThreeStarts()).toBe(12);
  // Into another file: of what was the table's, nothing is left but an empty one.
  await answerOf("vacuum full pg_db_role_setting");
  expect(await answerOf("show work_mem")).toEqual(["6MB"]);
  for (const whose of ["role postgres", "database postgres", "role postgres in database postgres"]) {
    await answerOf(`alter ${whose} reset all`);
  }
  expect(await answerOf("select current_setting('work_mem') || current_setting('statement_timeout')")).toEqual([
    "4MB0",
  ]);
  await answerOf("vacuum full pg_db_role_setting");
  expect(await searchesOfThreeStarts()).toBe(0);
});
