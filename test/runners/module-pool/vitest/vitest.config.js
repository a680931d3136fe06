import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { devDb } from "pglite-devdb/vitest";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [devDb({ migrations: "./migrations", seed: "./seed.sql" })],
  // Many configurations do this with Vite's loadEnv.
  test: { include: ["vitest/*.spec.js"], env: parseEnv(readFileSync(".env", "utf8")), maxWorkers: 2 },
});
