import { useDatabase } from "pglite-devdb/vitest";
import { test } from "vitest";
import { pool } from "../db.cjs";
import { testPool } from "../tests.cjs";

testPool({ test, pool, db: useDatabase({ per: "worker" }), per: "worker" });
