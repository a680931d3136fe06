/**
 * A process that explores is killed: what others have at the gate goes on, and somebody else may explore.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GateClient } from "../../src/explore/gate-client.ts";
import { explore } from "../../src/explore/index.ts";
import { startDevDb } from "../../src/index.ts";
import { Application } from "./actors.ts";

test("kill -9 of who explores lets everybody go", async () => {
  await using db = await startDevDb({ port: 0, migrations: "none" });
  const app = new Application(db.url);
  await app.pool.query("create table jobs (id int primary key, state text); insert into jobs values (1, 'new')");
  const explorer = spawn(process.execPath, [join(import.meta.dirname, "explorer.mjs")], {
    env: { ...process.env, DATABASE_URL: db.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(explorer.stdout, "data");
  expect(String(said)).toBe("holds a lock\n");
  let isOver = false;
  const held = app.query("update jobs set state = 'free' where id = 1 returning state").finally(() => {
    isOver = true;
  });
  // Somebody else is told so, when it is known that the other one still decides.
  const other = new GateClient(db.url);
  await expect(other.ask({ do: "ping" })).rejects.toMatchObject({ code: "55006" });
  expect(isOver).toBe(false);
  explorer.kill("SIGKILL");
  expect(await held).toBe("free");
  const change = () => app.query("update jobs set state = 'done' where id = 1");
  const reset = () => Promise.resolve();
  const report = await explore({ db, actors: { ann: change, bob: change }, reset, invariant: () => true });
  expect([report.schedules, report.complete]).toEqual([2, true]);
  await app.pool.end();
});
