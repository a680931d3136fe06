/**
 * COPY from and to psql, several at the same time, in one go, slowly, and broken.
 *
 * Owns: COPY of psql; the drivers' COPY is in their own files.
 *
 * @module-tag long
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { requireClient } from "./support/installed.ts";
import { psql, psqlLines } from "./support/psql.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const stallTimeoutMs = 1500;
let directory: string;
let server: ServerProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "psql-copy-"));
  server = await startOurs(["--stall-timeout", `${stallTimeoutMs}`]);
});
afterAll(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach((context) => requireClient(context, "psql"));
afterEach(() => server.expectHealthy());

const line = (n: number, tag: string): string =>
  `${n}\t${tag} row ${n} with a tab\\there\t${n % 3 === 0 ? "\\N" : n / 4}`;
const lines = (from: number, to: number, tag: string): string =>
  Array.from({ length: to - from }, (_, at) => `${line(from + at, tag)}\n`).join("");

/** Makes a table and returns its name. */
async function makeTable(name: string): Promise<string> {
  await psqlLines(server.url, ["-c", `create table ${name} (n integer primary key, words text, ratio numeric)`]);
  return name;
}

/** What rows 0 … `count - 1` with `tag` must come to. */
async function expectRows(table: string, count: number, tag: string): Promise<void> {
  const [answer] = await psqlLines(server.url, [
    "-c",
    `select count(*), coalesce(sum(n), 0), count(ratio), count(*) filter (where words = '${tag} row ' || n || E' with a tab\\there') from ${table}`,
  ]);
  const nulls = Math.ceil(count / 3);
  expect(answer).toBe(`${count}|${(count * (count - 1)) / 2}|${count - nulls}|${count}`);
}

test("data piped into COPY FROM STDIN arrives whole, from eight psql at once", async () => {
  const count = 20_000;
  await atOnce(8, async (index) => {
    const table = await makeTable(`piped_${index}`);
    const tag = `psql ${index}`;
    const copied = await psqlLines(
      server.url,
      ["-c", "\\set QUIET off", "-c", `copy ${table} from stdin`, "-c", `select 'after', count(*) from ${table}`],
      { input: lines(0, count, tag) },
    );
    expect(copied).toEqual([`COPY ${count}`, `after|${count}`]);
    await expectRows(table, count, tag);
  });
});

test.each(["text", "csv", "binary"])("\\copy writes the %s file that it reads, six at once", async (format) => {
  const count = 5000;
  await atOnce(6, async (index) => {
    const [from, to] = [await makeTable(`${format}_from_${index}`), await makeTable(`${format}_to_${index}`)];
    const [first, second] = [join(directory, `${from}.data`), join(directory, `${to}.data`)];
    await psqlLines(server.url, ["-c", `\\copy ${from} from pstdin`], { input: lines(0, count, `file ${index}`) });
    await psqlLines(server.url, [
      ...["-c", `\\copy (select * from ${from} order by n) to '${first}' with (format ${format})`],
      ...["-c", `\\copy ${to} (n, words, ratio) from '${first}' with (format ${format})`],
      ...["-c", `\\copy (select * from ${to} order by n) to '${second}' with (format ${format})`],
    ]);
    expect(readFileSync(first).length).toBeGreaterThan(count * 20);
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
    await expectRows(to, count, `file ${index}`);
  });
});

test("a script with its data inside loads it, in a transaction, by each of six psql", async () => {
  await atOnce(6, async (index) => {
    const table = await makeTable(`inside_${index}`);
    const path = join(directory, `${table}.sql`);
    const data = (from: number): string => `copy ${table} from stdin;\n${lines(from, from + 100, "inside")}\\.\n`;
    writeFileSync(
      path,
      `begin;\n${data(0)}select 1;\n${data(100)}commit;\n${data(200)}select count(*) from ${table};\n`,
    );
    expect(await psqlLines(server.url, ["-f", path])).toEqual(["1", "300"]);
    await expectRows(table, 300, "inside");
  });
});

test("while the data of a COPY comes piece by piece, every other client is answered in between", async () => {
  const table = await makeTable("piecemeal");
  const [pieces, rows] = [20, 1000];
  let answers = 0;
  const result = await psql(server.url, ["-c", `copy ${table} from stdin`], {
    input: async (stdin) => {
      for (let piece = 0; piece < pieces; piece++) {
        stdin.write(lines(piece * rows, (piece + 1) * rows, "piece"));
        const others = await atOnce(2, (index) =>
          psqlLines(server.url, ["-c", `select ${piece}, ${index}`, "-c", `select count(*) from ${table}`]),
        );
        expect(others).toEqual([0, 1].map((index) => [`${piece}|${index}`, "0"]));
        answers += others.length;
      }
    },
  });
  expect([result.code, answers], result.all).toEqual([0, pieces * 2]);
  await expectRows(table, pieces * rows, "piece");
});

test("data that comes slowly, but never pauses for the stall timeout, is taken from four psql at once", async () => {
  const [pieces, rows] = [6, 500];
  const pauseMs = stallTimeoutMs / 3;
  expect(pieces * pauseMs).toBeGreaterThan(stallTimeoutMs * 1.5);
  await atOnce(4, async (index) => {
    const table = await makeTable(`slow_${index}`);
    const result = await psql(server.url, ["-c", `copy ${table} from stdin`], {
      input: async (stdin) => {
        for (let piece = 0; piece < pieces; piece++) {
          // The slow client is what is tested: nothing is waited for here.
          if (piece > 0) await pause(pauseMs);
          stdin.write(lines(piece * rows, (piece + 1) * rows, `slow ${index}`));
        }
      },
    });
    expect(result.code, result.all).toBe(0);
    await expectRows(table, pieces * rows, `slow ${index}`);
  });
});

test("a broken row ends its COPY with PostgreSQL's error and context, and no row of it stays", async () => {
  await atOnce(6, async (index) => {
    const table = await makeTable(`broken_${index}`);
    const bad = index % 2 === 0;
    const input = `${lines(0, 3000, "broken")}${bad ? "many\tnot a number\t1\n" : ""}${lines(3000, 4000, "broken")}`;
    const result = await psql(server.url, ["-c", `copy ${table} from stdin`], { input });
    if (bad) {
      expect(result.code, result.all).toBe(1);
      expect(result.stderr).toBe(
        `ERROR:  invalid input syntax for type integer: "many"\nCONTEXT:  COPY ${table}, line 3001, column n: "many"\n`,
      );
    } else expect(result.code, result.all).toBe(0);
    await expectRows(table, bad ? 0 : 4000, "broken");
  });
});

test("a COPY into a table that is not there fails before its data, and the psql goes on", async () => {
  const results = await atOnce(4, (index) =>
    psql(server.url, ["-v", "ON_ERROR_STOP=0", "-c", "copy nowhere from stdin", "-c", `select 'on', ${index}`], {
      input: lines(0, 10, "nowhere"),
    }),
  );
  for (const [index, { code, stdout, stderr }] of results.entries()) {
    expect([code, stdout]).toEqual([0, `on|${index}\n`]);
    expect(stderr).toBe('ERROR:  relation "nowhere" does not exist\n');
  }
});

test("a psql that is killed in the middle of its COPY leaves nothing, and others copy on", async () => {
  const table = await makeTable("killed");
  const other = await makeTable("survivor");
  const [killed, survivor] = await Promise.all([
    psql(server.url, ["-c", `copy ${table} from stdin`], {
      input: async (stdin, kill) => {
        // More than a pipe holds: once it is written, psql has sent most of it to the server.
        const data = lines(0, 20_000, "killed");
        await new Promise<void>((resolve) => stdin.write(data, () => resolve()));
        kill();
      },
    }),
    psql(server.url, ["-c", `copy ${other} from stdin`], { input: lines(0, 5000, "survivor") }),
  ]);
  expect([killed.code, killed.timedOut, survivor.code]).toEqual([null, false, 0]);
  await expectRows(table, 0, "killed");
  await expectRows(other, 5000, "survivor");
});
