/**
 * Checkpoints where one session is all of PostgreSQL.
 *
 * Owns: when there is one, so that the WAL keeps about to `max_wal_size`. Does not own: the session (`backend.ts`).
 * Engine: PostgreSQL without a postmaster never checkpoints by itself but at its end (XLogWrite, access/transam/xlog.c); with a
 * session for each client it does (`../../sessions/checkpointer.ts`).
 * Invariant: its messages run between two runs, when no pipeline and no transaction is open, and leave nothing behind; the
 * session's unnamed statement stays.
 */
import type { PGlite } from "@electric-sql/pglite";
import { encodeBind, encodeExecute, encodeMessage, encodeParse, encodeSync } from "../../wire/frontend.ts";
import type { Backend } from "./backend.ts";

/** A name that no client's statement has. */
const name = "pglite-devdb checkpoint";
/** PostgreSQL's default of `checkpoint_completion_target` (CalculateCheckpointSegments). */
const completionTarget = 0.9;
/** How far the WAL has come before the setting is looked at: one segment. */
const stepBytes = 16 * 2 ** 20;

const checkpoint = Buffer.concat([
  encodeParse(name, "checkpoint"),
  encodeBind(name, name, []),
  encodeExecute(name),
  encodeMessage("C", `S${name}`),
  encodeSync(),
]);

type PostgresModule = PGlite["Module"];
type Exported = "_GetFlushRecPtr" | "_GetConfigOption" | "_malloc" | "_free";
/** PGlite's types leave them out. */
type Functions = Readonly<Record<Exported, (...parameters: number[]) => number | bigint>>;

/** Of one PostgreSQL. */
export class SharedCheckpoints {
  readonly #backend: Backend;
  readonly #postgres: PostgresModule & Functions;
  /** Where the WAL was when the last one ended. */
  #last: number;

  constructor(backend: Backend, postgres: PostgresModule) {
    this.#backend = backend;
    this.#postgres = postgres as PostgresModule & Functions;
    this.#last = this.#position();
  }

  /** Whether it is time for one. */
  isDue(): boolean {
    if (!this.#backend.isIdle) return false;
    const written = this.#position() - this.#last;
    return written >= stepBytes && written >= (this.#maxWalMb() * 2 ** 20) / (1 + completionTarget);
  }

  /** Makes one, if it is time for it still. */
  make(): void {
    if (!this.isDue()) return;
    this.#backend.runUnheard(checkpoint);
    this.#last = this.#position();
  }

  /** `GetFlushRecPtr` (access/transam/xlog.c): how far the WAL has been written. */
  #position(): number {
    return Number(this.#postgres._GetFlushRecPtr(0));
  }

  #maxWalMb(): number {
    const text = Buffer.from("max_wal_size\0");
    const address = Number(this.#postgres._malloc(text.length));
    this.#postgres.HEAPU8.set(text, address);
    const value = Number(this.#postgres._GetConfigOption(address, 0, 0));
    this.#postgres._free(address);
    const bytes = this.#postgres.HEAPU8;
    return Number(Buffer.from(bytes.slice(value, bytes.indexOf(0, value))).toString());
  }
}
