import { defineConfig } from "@playwright/test";
import { devDb } from "pglite-devdb/playwright";

export default defineConfig({
  ...devDb({ migrations: "../migrations", seed: "../seed.sql" }),
  testDir: ".",
  testMatch: "*.spec.mjs",
  workers: 2,
});
