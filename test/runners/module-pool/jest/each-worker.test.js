const { pool } = require("../db.cjs");
const { testPool } = require("../tests.cjs");
const { useDatabase } = require("pglite-devdb/jest");

testPool({ test, pool, db: useDatabase({ per: "worker" }), per: "worker" });
afterAll(() => pool.end());
