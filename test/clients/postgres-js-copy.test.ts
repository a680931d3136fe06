/**
 * COPY with postgres.js: its writable and readable streams, several at once, slow, broken and abandoned.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { whileBusy } from "./support/busy-clients.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const stallTimeoutMs = 1500;
let server: ServerProcess;
let sql: postgres.Sql;

beforeAll(async () => {
  server = await startOurs(["--stall-timeout", `${stallTimeoutMs}`]);
  sql = postgres(server.url, { max: 20 });
  await sql`create table copied (run text, n integer, words text)`;
});
afterAll(async () => {
  await sql?.end({ timeout: 5 });
  await server?.stop();
});
afterEach(() => server.expectHealthy());

const rows = (run: string, from: number, to: number): string =>
  Array.from({ length: to - from }, (_, at) => `${run}\t${from + at}\twords of ${run} ${from + at}\n`).join("");

async function expectRows(run: string, count: number): Promise<void> {
  const [answer] = await sql`
    select count(*)::int, coalesce(sum(n), 0)::int as sum, count(*) filter (where words = 'words of ' || run || ' ' || n)::int as right
    from copied where run = ${run}`;
  expect(answer).toEqual({ count, sum: count && (count * (count - 1)) / 2, right: count });
}

test("six streams of 20 000 rows are written at once and read back as they were, while others query", async () => {
  const { answers } = await whileBusy(server.url, 2, () =>
    atOnce(6, async (index) => {
      const run = `stream ${index}`;
      const pieces = Array.from({ length: 20 }, (_, at) => rows(run, at * 1000, (at + 1) * 1000));
      await pipeline(Readable.from(pieces), await sql`copy copied from stdin`.writable());
      await expectRows(run, 20_000);
      let read = "";
      const out =
        await sql`copy (select * from copied where run = ${sql.unsafe(`'${run}'`)} order by n) to stdout`.readable();
      for await (const chunk of out) read += chunk;
      expect(read === pieces.join("")).toBe(true);
    }),
  );
  expect(answers).toBeGreaterThan(0);
});

test("four streams whose data comes slowly are taken, while others query", async () => {
  const [pieces, size] = [6, 200];
  const pauseMs = stallTimeoutMs / 3;
  const { answers } = await whileBusy(server.url, 2, () =>
    atOnce(4, async (index) => {
      const run = `slow ${index}`;
      async function* slowly() {
        for (let at = 0; at < pieces; at++) {
          // The slow client is what is tested: nothing is waited for here.
          if (at > 0) await pause(pauseMs);
          yield rows(run, at * size, (at + 1) * size);
        }
      }
      await pipeline(slowly, await sql`copy copied from stdin`.writable());
      await expectRows(run, pieces * size);
    }),
  );
  expect(answers).toBeGreaterThan(0);
});

// When PostgreSQL refuses data, postgres.js tells its stream nothing: it ends with the next query of its connection.
test("a broken row undoes all of its stream, and the streams beside it are whole", async () => {
  await atOnce(6, async (index) => {
    const run = `broken ${index}`;
    const bad = index % 2 === 0;
    const data = rows(run, 0, 500) + (bad ? `${run}\tnot a number\t\n` : "") + rows(run, 500, 600);
    const connection = await sql.reserve();
    try {
      const stream = await connection`copy copied from stdin`.writable();
      await new Promise<void>((resolve) => stream.write(data, () => resolve()));
      stream.end();
      // Its CopyDone goes out in the next tick; before it postgres.js takes no query.
      await new Promise(setImmediate);
      expect([...(await connection`select ${index}::int as n`)]).toEqual([{ n: index }]);
    } finally {
      connection.release();
    }
    await expectRows(run, bad ? 0 : 600);
  });
});

test("a stream that its writer destroys writes nothing, and its connection goes on", async () => {
  await atOnce(4, async (index) => {
    const run = `destroyed ${index}`;
    async function* failing() {
      yield rows(run, 0, 2000);
      throw new Error("no more data");
    }
    await expect(pipeline(failing, await sql`copy copied from stdin`.writable())).rejects.toThrow("no more data");
    await expectRows(run, 0);
  });
});

test("COPY inside transactions is kept or undone with them, six at once", async () => {
  await atOnce(6, async (index) => {
    const run = `transaction ${index}`;
    const done = sql.begin(async (sql) => {
      await pipeline(Readable.from([rows(run, 0, 300)]), await sql`copy copied from stdin`.writable());
      const [seen] = await sql`select count(*)::int from copied where run = ${run}`;
      expect(seen!.count).toBe(300);
      if (index % 2 === 0) throw new Error("undo");
    });
    if (index % 2 === 0) await expect(done).rejects.toThrow("undo");
    else await done;
    await expectRows(run, index % 2 === 0 ? 0 : 300);
  });
});
