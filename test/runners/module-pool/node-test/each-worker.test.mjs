import { after, describe, test } from "node:test";
import { useDatabase } from "pglite-devdb/node-test";
import { pool } from "../db.cjs";
import { testPool } from "../tests.cjs";

describe("a pool in a module", () => {
  testPool({ test, pool, db: useDatabase({ per: "worker" }), per: "worker" });
  after(() => pool.end());
});
