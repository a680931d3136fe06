/** Databases that are prepared for branches, where a statement of that fails: none stays that nobody knows of. */
import { expect, onTestFinished, test } from "vitest";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import { ownParameters } from "../../../src/sessions/own-parameters.ts";
import { OwnSession } from "../../../src/thread/own-session.ts";
import { PreparedBranches, type Run } from "../../../src/thread/prepared-branches.ts";
import { openHost } from "./support/open-host.ts";

test("one of which nothing could be read once it was made, and those whose drop failed, are dropped later", async () => {
  const files = await openMemoryFiles();
  const host = await openHost({ dataDir: "memory://", files, copying: files.copying, maxSessions: 4 });
  onTestFinished(() => host.close());
  const own = new OwnSession(host, ownParameters, 990);
  const session = await own.begun;
  const refresh = (source: number, copy: number) => host.copies.refresh(session, source, copy);
  const [row] = await own.ask("select oid from pg_database where datname = 'postgres'");
  const there = async () =>
    (await own.ask("select datname from pg_database where datname ~ '~ready:' order by oid")).flat();
  const failsAt = (beginning: string): Run => {
    let failures = 0;
    return (sql, first) =>
      sql.startsWith(beginning) && failures++ === 0
        ? Promise.reject(new Error("a test's failure"))
        : own.ask(sql, first);
  };

  const prepared = new PreparedBranches();
  prepared.wanted(Number(row![0]), "postgres");
  await expect(prepared.step(failsAt("select oid, xmin"), refresh)).rejects.toThrow("a test's failure");
  expect(await there()).toEqual(["postgres~ready:1"]);
  while (prepared.isDue) await prepared.step((...asked) => own.ask(...asked), refresh);
  expect(await there()).toEqual(["postgres~ready:2", "postgres~ready:3"]);

  await expect(prepared.drop(failsAt("drop database"))).rejects.toThrow("a test's failure");
  expect(prepared.isEmpty).toBe(false);
  await prepared.drop((...asked) => own.ask(...asked));
  expect([await there(), prepared.isEmpty]).toEqual([[], true]);
});
