/** What PostgreSQL logs about statements when it is asked to. */
import { readFileSync } from "node:fs";
import postgres from "postgres";
import { expect, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

async function logOf(
  args: readonly string[],
  use: (sql: postgres.Sql) => Promise<unknown>,
  last: RegExp,
): Promise<string> {
  const cli = startCli(["--port", "0", "-o", "json", "--migrations", "none", ...args]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1 });
  await use(sql);
  await sql.end();
  await waitUntil(`the log has ${last}`, () => last.test(cli.stderr()), 60_000);
  return cli.stderr();
}

test("--log-slow logs what takes long, with its parameters, and nothing else", async () => {
  const log = await logOf(
    ["--log-slow", "300"],
    async (sql) => {
      await sql`select ${"quick"}::text`;
      await sql`select pg_sleep(0.4),\n  ${"a value"}::text`;
      await sql.unsafe("select pg_sleep(0.5)");
    },
    /duration: \d+\.\d+ ms {2}statement: select pg_sleep\(0\.5\)/,
  );
  expect(log).toMatch(
    /duration: \d+\.\d+ ms {2}execute \S+: select pg_sleep\(0\.4\),\n\s+\$1::text\n\s*DETAIL: {2}Parameters: \$1 = 'a value'/,
  );
  expect(log).not.toContain("quick");
});

test("auto_explain and log_statement are heard as well", { tags: "long" }, async () => {
  const log = await logOf(
    ["-e", "auto_explain", "--set", "auto_explain.log_min_duration=0", "--set", "log_statement=ddl"],
    async (sql) => {
      await sql`create table t (a int)`;
      await sql`select count(*) from t`;
    },
    /Seq Scan on t/,
  );
  expect(log).toMatch(/(statement|execute \S+): create table t \(a int\)/);
  expect(log).toMatch(/duration: \d+\.\d+ ms {2}plan:\n\s+Query Text: select count\(\*\) from t\n\s+Aggregate/);
});

test.skipIf(process.platform !== "linux")("a log that nobody reads is not kept in memory", async () => {
  const cli = startCli(["--port", "0", "-o", "json", "--migrations", "none", "--log-slow", "0"]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1 });
  const memory = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${cli.pid}/status`, "utf8"))![1]) / 1024;
  cli.child.stderr!.pause();
  const statement = `select length('${"x".repeat(250_000)}')`;
  const logMegabytes = 100;
  const fillLog = async () => {
    for (let i = 0; i < logMegabytes * 4; i++) await sql.unsafe(statement);
  };
  // Garbage of a busy machine has its full size after the first round.
  await fillLog();
  const before = memory();
  await fillLog();
  expect(memory() - before).toBeLessThan(logMegabytes / 2);
  cli.child.stderr!.resume();
  const said = waitUntil("it is said", async () => {
    await sql`select 1`;
    return /left out \d+ lines, because nothing read the log/.test(cli.stderr());
  });
  await said;
  await sql.end();
});
