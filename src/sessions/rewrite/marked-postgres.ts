/**
 * The module of the sessions: rewritten, and with marks.
 *
 * Owns: the order of the two. Does not own: either (`postgres.ts`, `mark-writes.ts`).
 */
import { markWrites } from "./mark-writes.ts";
import { type RewrittenModule, rewritePostgres } from "./postgres.ts";

/** The module of the sessions from the one of the package. Two seconds of computing. */
export function rewriteAndMark(stock: Uint8Array): RewrittenModule {
  const { bytes, ...located } = rewritePostgres(stock);
  return { bytes: markWrites(bytes), ...located };
}
