import { configDefaults, defineConfig } from "vitest/config";
import quick from "./vitest.config.ts";

// `npm run test:long`: what takes minutes, one file after the other, as some of it wants a thousand connections or all memory.
export default defineConfig({
  ...quick,
  test: {
    ...quick.test,
    include: ["test/**/*.long.test.ts"],
    exclude: configDefaults.exclude,
    fileParallelism: false,
    testTimeout: 3_600_000,
  },
});
