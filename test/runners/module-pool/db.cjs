// What many applications have: a pool in a module, whose URL is read when the module is loaded.
const { existsSync } = require("node:fs");
const pg = require("pg");

if (existsSync(".env")) process.loadEnvFile(".env");
exports.pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
