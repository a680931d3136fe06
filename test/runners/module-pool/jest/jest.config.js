const { devDb } = require("pglite-devdb/jest");

module.exports = {
  ...devDb({ migrations: "./migrations", seed: "./seed.sql" }),
  rootDir: "..",
  testMatch: ["**/jest/*.test.js"],
  maxWorkers: 2,
};
