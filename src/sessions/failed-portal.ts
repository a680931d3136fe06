/**
 * What a simple query that has failed leaves behind: a portal whose statements are gone.
 *
 * Owns: taking them out of it. Does not own: noticing the error (`session.ts`, `../engine/thread/backend.ts`).
 * Why: exec_simple_query() (tcop/postgres.c) keeps a statement's plan and text in MessageContext, which the next message
 * uses anew, but in a transaction block its portal stays until that ends, and an Execute of the unnamed portal looks into both before
 * it is refused. What it meets there need not be an address: PostgreSQL ends for everyone, a real 18.4 as well as PGlite.
 * Mirrors `PortalData` (utils/portal.h), and AtAbort_Portals(), which does this for plans that are in the plan cache.
 * Invariant: only a portal that has failed and runs no cached plan is touched.
 */
import assert from "node:assert/strict";

/** Offsets in `PortalData`, whose first member is the name. */
const sourceText = 32;
const statements = 56;
const cachedPlan = 60;
const status = 80;
/** The last of `PortalStatus`. */
const failed = 5;

/** PostgreSQL with the memory of a session that has reported an error and has not read its next message. */
export interface AfterError {
  readonly words: Uint32Array | Int32Array;
  readonly bytes: Uint8Array;
  /** Writes a word; the address is a multiple of 4. */
  setWord(address: number, value: number): unknown;
  /** `SPI_cursor_find("")` (executor/spi.c): 0 when there is none. */
  unnamedPortal(): number;
}

/** Makes the unnamed portal one without statements, if it has failed with them. */
export function forgetFailedStatements(postgres: AfterError): void {
  const portal = postgres.unnamedPortal();
  if (portal === 0) return;
  const word = (offset: number) => postgres.words[(portal + offset) >> 2]!;
  assert(postgres.bytes[word(0)] === 0 && word(status) <= failed, "portals are laid out as in PostgreSQL 18");
  if (word(status) !== failed || word(cachedPlan) !== 0) return;
  postgres.setWord(portal + statements, 0);
  postgres.setWord(portal + sourceText, word(0));
}
