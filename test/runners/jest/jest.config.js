const { devDb } = require("pglite-devdb/jest");

module.exports = {
  ...devDb({ migrations: "./migrations", seed: "./seed.sql" }),
  maxWorkers: 2,
};
