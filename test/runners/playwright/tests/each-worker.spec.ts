import { expect, test } from "@playwright/test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/playwright";

const db = useDatabase({ per: "worker" });

test("a worker has its database", async () => {
  expect(db.name.replace(/run_[0-9a-f]{8}~/, "")).toBe(`test~worker_${process.env.TEST_WORKER_INDEX}`);
  const client = new pg.Client(db.url);
  await client.connect();
  expect((await client.query("select name from people")).rows).toEqual([{ name: "Ada" }]);
  await client.end();
});
