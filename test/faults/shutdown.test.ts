/** The end of a server on a durable directory: after a signal the next start has nothing to recover. */
import { readdirSync } from "node:fs";
import postgres from "postgres";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { readClusterState } from "../support/control-file.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { message, WireClient } from "../support/wire-client.ts";

beforeAll(initializeTemplate);

async function startWithClients(db: string) {
  const cli = startCli(["--port", "0", "-o", "json", "--db", db]);
  const { url, port } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return { cli, sql, port };
}

const signals = [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const;

// One directory: each server is also the next start of the one before.
test("SIGTERM and SIGINT with clients at work checkpoint, and leave nothing to recover; kill -9 does, and it is recovered", async () => {
  const db = initializedDirectory();
  let { cli, sql, port } = await startWithClients(db);
  await sql`create table t (n int)`;
  for (const [round, [signal, code]] of signals.entries()) {
    await sql`insert into t select generate_series(1, 1000)`;
    const inTransaction = await WireClient.login({ port });
    inTransaction.send(message.query("begin; insert into t values (0)"));
    await inTransaction.until("Z");
    expect(readClusterState(db)).toBe("in production");
    cli.child.kill(signal);
    expect(await cli.ended).toMatchObject({ code, signal: null });
    expect(readClusterState(db)).toBe("shut down");
    expect(readdirSync(db).filter((name) => /pid$|^pglite-devdb/.test(name))).toEqual([]);
    ({ cli, sql, port } = await startWithClients(db));
    expect(await sql`select count(*)::int, min(n) from t`).toEqual([{ count: 1000 * (round + 1), min: 1 }]);
  }
  await sql`insert into t select generate_series(1, 1000)`;
  cli.child.kill("SIGKILL");
  await cli.ended;
  expect(readClusterState(db)).toBe("in production");
  const again = await startWithClients(db);
  expect(await again.sql`select count(*)::int from t`).toEqual([{ count: 3000 }]);
});
