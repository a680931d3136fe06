import { devDb } from "pglite-devdb/node-test";

export const { globalSetup, globalTeardown } = devDb({ migrations: "./migrations", seed: "./seed.sql" });
