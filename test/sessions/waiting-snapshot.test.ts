/** `select pglite_devdb.snapshot(…)` that waits for somebody's transaction: who can end it, and what becomes of it then. */
import type { Socket } from "node:net";
import pg from "pg";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { int32 } from "../../src/wire/frames.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

let db: DevDb;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none", log: () => {} });
  return () => db.close();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(db.url);
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: pg.DatabaseError) => error,
  );

describe("a snapshot that waits for somebody's transaction", () => {
  const call = "select pglite_devdb.snapshot('waits')";
  const cancel = async (client: pg.Client) => {
    const { processID: pid, secretKey: key } = client as pg.Client & { processID: number; secretKey: number };
    const canceller = await WireClient.connect({ port: Number(new URL(db.url).port) });
    canceller.send(message.cancelRequest(pid, int32(key)));
    await canceller.untilEnd();
  };
  const cancelled = { code: "57014", message: expect.stringContaining("user request") };

  test("ends with a cancel, as any statement, also behind another one that waits; nobody else's does", async () => {
    const [holder, first, second] = [await connect(), await connect(), await connect()];
    await holder.query("begin");
    const taken = failure(first.query(call));
    const ends: string[] = [];
    void taken.then(() => ends.push("first"));
    const behind = failure(second.query(call)).finally(() => ends.push("second"));
    await waitUntil("both calls have been read", async () => {
      await cancel(second);
      return ends.length > 0;
    });
    expect([await behind, ends]).toMatchObject([cancelled, ["second"]]);
    await waitUntil("the first one has ended", async () => {
      await cancel(first);
      return ends.length > 1;
    });
    expect(await taken).toMatchObject(cancelled);
    // What comes next is not cancelled, and waits for the end of the transaction.
    const next = second.query(call);
    await holder.query("commit");
    await next;
    expect((await first.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test.each(["hangs up", "is terminated"])(
    "is not taken for a client that %s, and keeps nobody else waiting",
    async (how) => {
      const [holder, gone, other] = [await connect(), await connect(), await connect()];
      const { processID: pid } = gone as pg.Client & { processID: number };
      await holder.query("begin");
      const taken = failure(gone.query("select pglite_devdb.snapshot('for nobody')"));
      for (let asked = 0; asked < 5; asked++) await other.query("select 1");
      if (how === "hangs up") (gone as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
      else await other.query("select pg_terminate_backend($1)", [pid]);
      expect(await taken).toBeDefined();
      const next = other.query(call);
      await holder.query("commit");
      await next;
      expect(await failure(other.query("select pglite_devdb.restore('for nobody')"))).toMatchObject({ code: "42704" });
    },
  );

  test("is refused at once in a transaction of the caller's, which it would wait for", async () => {
    const client = await connect();
    await client.query("begin");
    const refused = { code: "25001", message: "pglite_devdb.snapshot cannot run inside a transaction block" };
    expect(await failure(client.query(call))).toMatchObject(refused);
    // As behind any error in a transaction.
    expect(await failure(client.query("select 1"))).toMatchObject({ code: "25P02" });
    expect((await client.query("commit")).command).toBe("ROLLBACK");
    await client.query("begin");
    expect(await failure(client.query("select pglite_devdb.snapshot($1)", ["waits"]))).toMatchObject(refused);
    expect((await client.query("commit")).command).toBe("ROLLBACK");
    await client.query(call);
  });
});
