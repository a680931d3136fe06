/**
 * Which engine the applications and the runners' projects are tested on: `TEST_ENGINE`, `pglite` without it.
 *
 * Owns: the variable. Does not own: the tests. `TEST_ENGINE=postgres npx vitest run test/clients/applications/two-services.test.ts`
 */
import { randomBytes } from "node:crypto";

const engine = process.env.TEST_ENGINE || "pglite";

/** For the command line; on a server that is there, each start has a database of its own. */
export function engineArguments(): string[] {
  if (engine === "pglite") return [];
  const isServer = /^postgres(ql)?:/.test(engine);
  return ["--engine", engine, ...(isServer ? ["--database", `app_${randomBytes(4).toString("hex")}`] : [])];
}

/** For a process that starts a server, by the library's entry points for test suites. */
export function engineEnvironment(): Record<string, string> {
  return engine === "pglite" ? {} : { DEV_DB_ENGINE: engine };
}
