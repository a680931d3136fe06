/** Autovacuum beside sessions: what a look does, whom it is not in the way of, and when there is one. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { Autovacuum } from "../../../src/thread/autovacuum.ts";
import { AutovacuumLook, autovacuumPid } from "../../../src/thread/autovacuum-look.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

const maxSessions = 4;
const exclusively = "lock table pg_database in access exclusive mode";
/** What has been counted is there at once, not when PostgreSQL gets to it. */
const flushed = "; select pg_stat_force_next_flush()";
/** The expression of an index: ANALYZE calls it for each row of its sample, and that takes its time where nobody has said otherwise. */
const slowly = `create function slowly(int) returns int language plpgsql immutable as
  'begin perform pg_sleep(coalesce(current_setting(''test.seconds'', true), ''0.05'')::float); return $1; end'`;

let host: SessionHost;
let admin: SqlSession;
let known: ConstructorParameters<typeof AutovacuumLook>[1];
let log: string[] = [];
const opened: SqlSession[] = [];

beforeAll(async () => {
  const files = await openMemoryFiles();
  const settings = { autovacuum_naptime: "1" };
  host = await openHost({ dataDir: "memory://", files, copying: files.copying, maxSessions, settings });
  admin = await SqlSession.open(host);
  await admin.rows(slowly);
});
afterEach(async () => {
  for (const session of opened.splice(0)) await session.close();
});
afterAll(() => host.close());

async function open(parameters: Record<string, string> = {}): Promise<SqlSession> {
  const session = await SqlSession.open(host, parameters);
  opened.push(session);
  return session;
}

function look(): AutovacuumLook {
  return new AutovacuumLook(host, known, (text) => void log.push(text));
}

function forget(): void {
  known = { done: new Map(), said: new Set() };
  log = [];
}

/** How often a table was vacuumed and analyzed. */
async function counts(table: string, session = admin): Promise<string> {
  await session.rows("select pg_stat_clear_snapshot()");
  const [row] = await session.rows(
    `select pg_stat_get_vacuum_count('${table}'::regclass) || ' ' || pg_stat_get_analyze_count('${table}'::regclass)`,
  );
  return row!;
}

/** A table that needs both. */
async function needy(name: string, session = admin): Promise<void> {
  await session.rows(`create table ${name} (id int, v text);
    insert into ${name} select g, repeat('v', 200) from generate_series(1, 1000) g; delete from ${name} where id > 500${flushed}`);
}

/** A table whose ANALYZE takes 10 seconds, or 50 ms for each of its rows. */
async function slow(name: string, session = admin, rows = 200): Promise<void> {
  await session.rows(`set test.seconds = 0; create table ${name} (id int); create index on ${name} (slowly(id));
    insert into ${name} select g from generate_series(1, ${rows}) g${flushed}`);
}

/** A look that is in the middle of what it does. */
async function lookAtWork(): Promise<AutovacuumLook> {
  const begun = look();
  const work = `select from pg_stat_activity where pid = ${autovacuumPid} and wait_event = 'PgSleep'`;
  await waitUntil("it is at work", async () => (await admin.rows(work)).length > 0);
  return begun;
}

describe("a look", () => {
  test("keeps a table that is updated over and over from growing; without one it grows", async () => {
    forget();
    const sizes = async (maintain: () => Promise<void>): Promise<number[]> => {
      await admin.rows("drop table if exists g; create table g (id int primary key, v text)");
      await admin.rows("insert into g select n, repeat('v', 200) from generate_series(1, 1000) n");
      const found: number[] = [];
      for (let round = 0; round < 6; round++) {
        await admin.rows(`update g set v = v || ''${flushed}`);
        await maintain();
        found.push(Number((await admin.rows("select pg_total_relation_size('g')"))[0]));
      }
      return found;
    };
    const kept = await sizes(() => look().over);
    expect(Math.max(...kept)).toBe(kept[1]);
    await admin.rows("alter system set autovacuum = off");
    await admin.rows("select pg_reload_conf()");
    const grown = await sizes(() => look().over);
    await admin.rows("alter system reset autovacuum");
    await admin.rows("select pg_reload_conf()");
    expect(grown.at(-1)).toBeGreaterThan(2 * kept[1]!);
    expect(log).toEqual([]);
  });

  test("vacuums a TOAST table of its own, and obeys what is set for a table", async () => {
    forget();
    await admin.rows(`create table wide (id int, v text); alter table wide alter v set storage external;
      create table left_alone (id int) with (autovacuum_enabled = off);
      insert into wide select g, repeat('v', 3000) from generate_series(1, 500) g; delete from wide;
      insert into left_alone select generate_series(1, 5000); delete from left_alone${flushed}`);
    const [toast] = await admin.rows("select reltoastrelid::regclass from pg_class where relname = 'wide'");
    await look().over;
    expect(await counts("wide")).toBe("1 1");
    expect(await counts(toast!)).toBe("1 0");
    expect(await counts("left_alone")).toBe("0 0");
    await look().over;
    expect(await counts("wide")).toBe("1 1");
  });

  test("comes to every database that clients use, and is not stopped by one that is closed", async () => {
    forget();
    const names = ["closed", "kept", "open~branch", "x~snapshot:y"];
    for (const name of names) {
      await admin.rows(`create database "${name}"`);
      const session = await open({ database: name });
      await needy("t", session);
      await session.close();
    }
    await admin.rows("alter database kept is_template true");
    await slow("s");
    const begun = await lookAtWork();
    // It has been listed.
    await admin.rows("alter database closed allow_connections false");
    await admin.rows("drop table s");
    await begun.over;
    await admin.rows("alter database closed allow_connections true");
    await admin.rows("alter database kept is_template false");
    const found: string[] = [];
    for (const name of names) {
      const session = await open({ database: name });
      found.push(await counts("t", session));
      await session.close();
      await admin.rows(`drop database "${name}"`);
    }
    expect(found).toEqual(["0 0", "0 0", "1 1", "0 0"]);
    expect(log).toEqual([]);
  });

  test("says once what fails, and the other tables have what they need", async () => {
    forget();
    await admin.rows(`create function broken(int) returns int language plpgsql immutable as
      'begin if current_setting(''application_name'') = ''autovacuum'' then raise ''index function broken''; end if; return $1; end'`);
    await admin.rows(
      `create table bad (id int); create index on bad (broken(id)); insert into bad select generate_series(1, 100)`,
    );
    await needy("good");
    await look().over;
    await admin.rows(`insert into bad select generate_series(1, 100)${flushed}`);
    await look().over;
    expect(log).toEqual(['autovacuum of public.bad in the database "postgres" failed: index function broken']);
    expect(await counts("good")).toBe("1 1");
    // There is nothing new that it could try.
    await look().over;
    expect(known.done.size).toBe(1);
    await admin.rows("drop table bad");
  });

  test("waits for nobody: a table that is locked has it the next time, although nothing is written", async () => {
    forget();
    await needy("locked");
    const holder = await open();
    await holder.rows("begin; lock table locked");
    await look().over;
    await holder.rows("commit");
    expect(await counts("locked")).toBe("0 0");
    await look().over;
    expect(await counts("locked")).toBe("1 1");
    expect(log).toEqual([]);
  });

  test("nor for who has a catalog locked, without which its session does not begin; that one can be ended, too", async () => {
    forget();
    await needy("waits");
    const holder = await open();
    // What reads it is there.
    await holder.rows(`select from pg_locks where not granted; begin; ${exclusively}`);
    const sessions = host.openSessions;
    await look().over;
    const begun = look();
    const waits = "select from pg_locks where not granted";
    await waitUntil("it waits", async () => (await holder.rows(waits)).length === 1);
    await begun.end();
    expect(host.openSessions).toBe(sessions);
    await holder.rows("commit");
    expect(await counts("waits")).toBe("0 0");
    await look().over;
    expect(await counts("waits")).toBe("1 1");
    expect(log).toEqual([]);
  });
});

describe("who is in its way has what he wants at once", () => {
  test.each(["alter table s add column x int", "truncate s", "drop table s", "lock table s"])(
    "%s",
    async (statement) => {
      forget();
      await slow("s");
      const begun = await lookAtWork();
      const other = await open();
      // It would wait for 10 s.
      await other.rows(`set statement_timeout = '5s'; begin; ${statement}; commit`);
      await begun.over;
      // What was cancelled is still to be done, although nothing was written.
      if (statement.startsWith("lock")) await (await lookAtWork()).end();
      expect(log).toEqual([]);
      await admin.rows("drop table if exists s");
    },
  );

  test("DROP DATABASE and CREATE DATABASE … TEMPLATE", async () => {
    forget();
    for (const statement of ["create database copied template worked", "drop database worked"]) {
      await admin.rows("drop database if exists worked");
      await admin.rows("create database worked");
      const session = await open({ database: "worked" });
      await session.rows(slowly);
      await slow("s", session);
      await session.close();
      const begun = await lookAtWork();
      expect(await admin.rows(statement)).toEqual([]);
      await begun.over;
    }
    await admin.rows("drop database copied");
    expect(log).toEqual([]);
  });

  test("a client that would be one too many", async () => {
    forget();
    await slow("s");
    const begun = await lookAtWork();
    for (let n = 1; n < maxSessions; n++) await open();
    await expect(SqlSession.open(host)).rejects.toThrow("too many clients");
    await begun.over;
    await admin.rows("drop table s");
    // Where there is no place at all there is no look.
    await look().over;
    expect(log).toEqual([]);
  });

  test("the end of the server, and whatever wants it to pause", async () => {
    forget();
    await slow("s");
    const begun = await lookAtWork();
    await begun.end();
    expect(await counts("s")).toBe("0 0");
    expect(await admin.rows(`select from pg_stat_activity where pid = ${autovacuumPid}`)).toEqual([]);
    const early = look();
    await early.end();
    await admin.rows("drop table s");
    expect(log).toEqual([]);
  });
});

describe("when there is a look", { tags: "long" }, () => {
  let autovacuum: Autovacuum;
  let mayLook = true;
  /** The turns that it has had. */
  let turns = 0;
  beforeAll(() => {
    autovacuum = new Autovacuum(host, () => mayLook);
    host.scheduler.onTurn = (session) => {
      if (session?.pid === autovacuumPid) turns++;
      autovacuum.onTurn(session);
    };
  });
  afterAll(() => autovacuum.close());

  /** Resolves when it has had a turn. */
  async function looks(): Promise<void> {
    const before = turns;
    await waitUntil("there is a look", () => turns > before);
  }

  /** Resolves when another engine's autovacuum, whose client asks for something later, has looked twice: this one has had the time for it. */
  async function anotherLooks(): Promise<void> {
    const other = await openHost({ dataDir: "memory://", maxSessions: 2, settings: { autovacuum_naptime: "1" } });
    const control = new Autovacuum(other, () => true);
    const client = await SqlSession.open(other);
    let otherTurns = 0;
    other.scheduler.onTurn = (session) => {
      if (session?.pid === autovacuumPid) otherTurns++;
      control.onTurn(session);
    };
    for (let n = 0; n < 2; n++) {
      const seen = otherTurns;
      await client.rows("select 1");
      await waitUntil("another one looks", () => otherTurns > seen);
      await waitUntil("its look is over", () => other.openSessions === 1);
    }
    await control.close();
    await client.close();
    await other.close();
  }

  async function vacuumed(table: string): Promise<void> {
    await waitUntil("it is vacuumed", async () => {
      await looks();
      return (await counts(table)) !== "0 0";
    });
  }

  test("soon after something was written, also where it was written while it looked; none without a turn of a client", async () => {
    await slow("s", admin, 60);
    await looks();
    await needy("one");
    await waitUntil("the look is over", () => host.openSessions === 1);
    await looks();
    await waitUntil("the look is over", () => host.openSessions === 1);
    expect(await counts("one")).toBe("1 1");
    await admin.rows("select pg_stat_force_next_flush()");
    await looks();
    await waitUntil("the look is over", () => host.openSessions === 1);
    const before = turns;
    await anotherLooks();
    expect(turns).toBe(before);
  });

  test("not while it is to pause, or what is decided by others; afterwards it is made up for", {
    tags: "long",
  }, async () => {
    await needy("two");
    const before = turns;
    await autovacuum.pausedFor(anotherLooks);
    expect(turns).toBe(before);
    mayLook = false;
    await anotherLooks();
    expect(turns).toBe(before);
    mayLook = true;
    await vacuumed("two");
  });

  test("on a server that is never idle it is late, but there is one", async () => {
    await needy("three");
    let isOver = false;
    const busy = (async () => {
      const session = await open();
      while (!isOver) {
        await session.rows("select 1");
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await vacuumed("three");
    isOver = true;
    await busy;
  });
});
