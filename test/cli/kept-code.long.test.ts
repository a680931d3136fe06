/**
 * A server that starts with the code that V8 has made in an earlier one, and one that forgoes the cache.
 *
 * @module-tag long
 */
import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { codeEnvironment } from "../../src/sessions/module/v8-code.ts";
import { startCli, temporaryDirectory } from "../support/cli-process.ts";
import { install } from "../support/installation.ts";
import { waitUntil } from "../support/wait-until.ts";

const fromFile = "PostgreSQL starts with the compiled code in the cache";

async function start(environment: Record<string, string>, cli: string, ...args: string[]) {
  const options = ["start", "--port", "0", "--migrations", "none", "-o", "json", "--log-level", "debug", ...args];
  const server = startCli(options, { environment, cli });
  const [line] = await server.line(/^.*\n/);
  const { url } = JSON.parse(line!) as { url: string };
  return {
    connect: async () => {
      const client = new pg.Client(url);
      client.on("error", () => {});
      await client.connect();
      onTestFinished(() => client.end().catch(() => {}));
      return client;
    },
    /** Answers with what it has said. */
    stop: async () => {
      server.child.kill("SIGTERM");
      return (await server.ended).stderr;
    },
  };
}

type Server = Awaited<ReturnType<typeof start>>;

/** Two sessions, a cancel, an error that needs all of the stack, and recursion in native code. */
async function expectAnswers(server: Server): Promise<void> {
  const [one, other] = [await server.connect(), await server.connect()];
  await one.query("create table t (n int); insert into t select generate_series(1, 100)");
  await one.query("begin; update t set n = n + 1 where n = 100");
  const waiting = other.query("update t set n = n + 1000 where n >= 100 returning n");
  await one.query("commit");
  expect((await waiting).rows).toEqual([{ n: 1101 }]);
  const code = (error: { code: string }) => error.code;
  expect(await one.query("select repeat('[', 1000000)::jsonb").catch(code)).toBe("54001");
  expect(await one.query(`select ${"(".repeat(50_000)}1${")".repeat(50_000)}`).catch(code)).toBe("42601");
  await one.query(
    "create function deep(i int) returns int language plpgsql as 'begin return deep(i + 1); end'; set statement_timeout = 0",
  );
  expect(await one.query("select deep(1)").catch(code)).toBe("54001");
  const { rows } = await one.query("select pg_backend_pid() as pid");
  const computing = one.query("select count(*) from generate_series(1, 1000000000)").catch(code);
  // Who has not begun yet is not cancelled.
  const isActive = "select from pg_stat_activity where pid = $1 and state = 'active' and query like '%1000000000%'";
  await waitUntil("it computes", async () => (await other.query(isActive, [rows[0].pid])).rowCount === 1);
  await other.query("select pg_cancel_backend($1)", [rows[0].pid]);
  expect(await computing).toBe("57014");
  expect((await one.query("select sum(n)::int from t")).rows).toEqual([{ sum: 6051 }]);
}

test.runIf(codeEnvironment() !== undefined)(
  "a server keeps its code once it idles; the next one starts with it, unless it is damaged, and answers as ever",
  async () => {
    const { cli, environment, cache } = install();
    const files = () => readdirSync(cache).filter((name) => name.startsWith("code-"));
    const first = await start(environment, cli);
    await expectAnswers(first);
    const client = await first.connect();
    for (let n = 0; n < 2000; n++) await client.query("insert into t values ($1)", [n]);
    await waitUntil("the code is kept", () => files().length > 0);
    expect(await first.stop()).not.toContain(fromFile);
    const [name] = files();
    const path = join(cache, name!);
    expect(files()).toEqual([expect.stringMatching(/^code-\d+-[0-9a-f]{32}$/)]);
    if (process.platform !== "win32") expect(statSync(path).mode & 0o777).toBe(0o600);
    const whole = readFileSync(path);

    // A process that has run nothing has all of the code that is in the file.
    const { codeBytes } = JSON.parse(whole.toString("utf8", 8, 8 + whole.readUInt32LE(4))) as { codeBytes: number };
    expect(await codeOfNewProcess(environment)).toEqual({ isUsed: true, codeBytes });

    const second = await start(environment, cli);
    await expectAnswers(second);
    expect(await second.stop()).toContain(fromFile);

    const damaged = Buffer.from(readFileSync(path));
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(path, damaged);
    const third = await start(environment, cli);
    expect(files()).toEqual([]);
    await expectAnswers(third);
    expect(await third.stop()).not.toContain(fromFile);

    writeFileSync(path, whole);
    chmodSync(path, 0o600);
    const fourth = await start(environment, cli, "--no-cache");
    expect(await fourth.stop()).not.toContain(fromFile);
    expect(readFileSync(path).equals(whole)).toBe(true);
  },
);

/** As the engine's thread loads it, in a process of its own: V8 shares what is compiled within one. */
async function codeOfNewProcess(environment: Record<string, string>): Promise<unknown> {
  const url = (name: string) => JSON.stringify(new URL(`../../src/sessions/${name}`, import.meta.url).href);
  const script = `
    import { setFlagsFromString } from "node:v8";
    const { optimizeSooner } = await import(${url("module/tier-up.ts")});
    const { loadPostgres } = await import(${url("boot.ts")});
    optimizeSooner();
    const { module, code } = await loadPostgres();
    setFlagsFromString("--allow-natives-syntax");
    // Ends the process if there is none.
    const bytes = new Function("module", "return %SerializeWasmModule(module)")(module);
    console.log(JSON.stringify({ isUsed: code.isUsed, codeBytes: bytes.byteLength }));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", script], {
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("with DEV_DB_CACHE=0, which is --no-cache, a server writes nothing to the user's cache", async () => {
  const home = temporaryDirectory();
  const { cli } = install();
  const server = await start({ XDG_CACHE_HOME: home, DEV_DB_CACHE: "0" }, cli);
  const client = await server.connect();
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await server.stop();
  expect(readdirSync(home)).toEqual([]);
});
