/** `pglite-devdb clock` on a server that runs, as processes. */
import pg from "pg";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { runCli } from "../support/cli-process.ts";

let url = "";
beforeAll(async () => {
  const db = await startDevDb({ port: 0, migrations: "none" });
  url = db.url;
  return () => db.close();
});

const clock = (args: readonly string[]) => runCli(["clock", ...args], { environment: { DATABASE_URL: url } });

test("it is set, passes, jumps, is shown and reset", async () => {
  expect(await clock(["set", "2030-01-01 00:00Z"])).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringMatching(/^2030-01-01T00:00:\S+Z, [\d.]+ s ahead of the real time\n$/),
  });
  expect((await clock(["advance", "1 month 1 hour"])).stdout).toMatch(/^2030-02-01T01:0/);
  expect((await clock(["discrete", "on"])).stdout).toMatch(/real time, discrete\n$/);
  const client = new pg.Client(url);
  onTestFinished(() => client.end());
  await client.connect();
  expect((await client.query("select pg_sleep(86400), now()::date::text as on")).rows[0].on).toBe("2030-02-01");
  expect((await clock([])).stdout).toMatch(/^2030-02-02T01:0/);
  expect(await clock(["reset"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^pglite-devdb: clock: the time cannot go back from 2030-02-02\S+ to \S+ while clients are connected, 1 of them/,
    ),
  });
  await client.end();
  expect((await clock(["reset"])).stdout).toMatch(/^\S+Z, the real time\n$/);
});

test("what cannot be is a sentence", { tags: "long" }, async () => {
  const failed = async (...args: string[]) => {
    const { code, stderr } = await clock(args);
    return [code, stderr];
  };
  expect(await failed("set", "soon")).toEqual([
    1,
    expect.stringContaining('invalid input syntax for type timestamp with time zone: "soon"'),
  ]);
  expect(await failed("set")).toEqual([
    2,
    expect.stringContaining("clock set: say which: pglite-devdb clock set TIME"),
  ]);
  expect(await failed("stop")).toEqual([2, expect.stringContaining('clock: what is "stop"?')]);
  expect(await failed("show", "x")).toEqual([2, expect.stringContaining("an argument too many")]);
  expect(await failed("--url", "postgresql://postgres@127.0.0.1:1/postgres")).toEqual([
    expect.any(Number),
    expect.stringContaining("use --url to name another server"),
  ]);
});
