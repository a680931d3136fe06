/**
 * Isolated sessions on every version of PGlite that is at hand: the program beside that PGlite, and clients.
 *
 * A version outside of the range of package.json has to pass the self-check on the way.
 *
 * @module-tag long
 */
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { startCli } from "../../support/cli-process.ts";
import { install } from "../../support/installation.ts";
import { pgliteVersions } from "../../support/pglite-versions.ts";
import { connect } from "../../support/query.ts";
import { waitUntil } from "../../support/wait-until.ts";

describe.each(pgliteVersions)("PGlite $version", ({ isInRange, directory }) => {
  test("serves isolated sessions: own state, transactions side by side, a wait and its end, a notification", async () => {
    const { cli, environment } = install({ pglite: directory });
    const args = ["start", "--port", "0", "--migrations", "none", "--sessions", "isolated", "-o", "json"];
    const server = startCli([...args, "--log-level", "debug"], { cli, environment });
    const [line] = await server.line(/^\{.*\}\n/);
    const { url, sessions } = JSON.parse(line!) as { url: string; sessions: string };
    expect(sessions).toBe("isolated");
    const passed = /unknown one: isolated sessions passed the self-check/;
    expect(passed.test(server.stderr())).toBe(!isInRange);

    const [one, other] = [await connect(url), await connect(url)];
    const [[a], [b]] = [await rows(one, "select pg_backend_pid()"), await rows(other, "select pg_backend_pid()")];
    expect(a).not.toBe(b);
    await one.query("set work_mem = '9MB'; create table t (x int); insert into t values (0)");
    expect(await rows(other, "show work_mem")).toEqual(["4MB"]);
    await one.query("begin; update t set x = x + 1");
    expect(await rows(other, "select x from t")).toEqual([0]);
    const waiting = rows(other, "update t set x = x + 10 returning x");
    const blockers = () => rows(one, `select pg_blocking_pids(${b})`);
    await waitUntil("the other session waits for the first", async () => String((await blockers())[0]) === String(a));
    await one.query("commit");
    expect(await waiting).toEqual([11]);

    await one.query("listen news");
    const notified = new Promise<string | undefined>((resolve) => {
      one.once("notification", ({ channel, payload }) => resolve(`${channel}: ${payload}`));
    });
    await other.query("notify news, 'hello'");
    expect(await notified).toBe("news: hello");
    server.child.kill("SIGTERM");
    await server.ended;
  });
});

/** The first column. */
async function rows(client: pg.Client, sql: string): Promise<unknown[]> {
  const { rows: found } = await client.query({ text: sql, rowMode: "array" });
  return found.map(([value]: unknown[]) => value);
}
