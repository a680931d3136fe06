const { pool } = require("../db.cjs");
const { testPool } = require("../tests.cjs");
const { useDatabase } = require("pglite-devdb/jest");

testPool({ test, pool, db: useDatabase({ per: "file" }), per: "file" });
afterAll(() => pool.end());
