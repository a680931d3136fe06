/**
 * The server of the plays, in a process of its own: the built library.
 *
 * Owns: starting it, answering what its `stats()` are. Invariant: it ends with whoever started it.
 */
import { pathToFileURL } from "node:url";
import type { DevDb, DevDbOptions } from "../../src/index.ts";

const [program = "", options = "{}"] = process.argv.slice(2);
const library = (await import(pathToFileURL(program).href)) as { startDevDb(options: DevDbOptions): Promise<DevDb> };
const db = await library.startDevDb({
  ...(JSON.parse(options) as DevDbOptions),
  log: (level, line) => level !== "debug" && console.error(line),
});
process.on("disconnect", () => process.exit());
process.on("message", () => void db.stats().then((stats) => process.send!(stats)));
process.send!({ port: db.port });
