/**
 * `pglite-devdb reset --db DIR`: the data is gone, and the next start migrates and seeds anew.
 *
 * Owns: what is said. Does not own: the removal (`dev-db/empty-directory.ts`).
 */
import { resolve } from "node:path";
import { emptyDirectory } from "../dev-db/empty-directory.ts";
import { UsageError } from "../errors.ts";
import type { CliCommand } from "./command.ts";
import { logTo } from "./log.ts";

/** The command `reset`. */
export const resetCommand: CliCommand = {
  name: "reset",
  usage: "--db DIR",
  summary: "remove the data of a directory that no server uses: its next start migrates and seeds anew",
  options: ["db", "logLevel"],
  async run([operand], { db, logLevel }, { cwd, stderr }) {
    if (operand !== undefined)
      throw new UsageError(`reset: what is ${JSON.stringify(operand)}? pglite-devdb reset --db DIR`);
    if (db === "memory://") throw new UsageError("reset: name the directory: --db DIR");
    const path = resolve(cwd, db);
    const log = logTo(stderr, logLevel);
    const had = await emptyDirectory(path);
    log("info", had ? `${path} is empty: its next start migrates and seeds anew` : `${path} has no data`);
    return 0;
  },
};
