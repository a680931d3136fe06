import { devDb } from "pglite-devdb/vitest";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [devDb({ migrations: "../migrations", seed: (url) => import("./seed.ts").then(({ seed }) => seed(url)) })],
  test: { include: ["tests/*.spec.ts"], maxWorkers: 2 },
});
