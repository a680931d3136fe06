import { test } from "@playwright/test";
import { useDatabase } from "pglite-devdb/playwright";
import { pool } from "../db.cjs";
import { testPool } from "../tests.cjs";

testPool({ test, pool, db: useDatabase({ per: "file" }), per: "file" });
