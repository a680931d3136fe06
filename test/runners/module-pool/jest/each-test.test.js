const { pool } = require("../db.cjs");
const { testPool } = require("../tests.cjs");
const { useDatabase } = require("pglite-devdb/jest");

testPool({ test, pool, db: useDatabase({ per: "test" }), per: "test" });
afterAll(() => pool.end());
