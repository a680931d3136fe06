/**
 * The process of the row `spawn to first row` for the target `in-process`: boots a PGlite, runs one query, says so.
 *
 * Owns: that one measurement. Does not own: the other rows of the target, which run in its load process.
 */
import { PGlite } from "@electric-sql/pglite";

const db = await PGlite.create();
await db.query("select 1");
process.stdout.write(`${JSON.stringify({ first: "row" })}\n`);
