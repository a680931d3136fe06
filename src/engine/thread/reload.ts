/**
 * `pg_reload_conf()` where one session is all of PostgreSQL.
 *
 * Owns: that function, in PostgreSQL's table of built-in ones. Does not own: reading the configuration, which PostgreSQL does
 * before the next command, or who may call it (its privileges are those of `pg_proc`).
 * Engine: PostgreSQL's own sends SIGHUP to the postmaster, which there is none of here.
 * Invariant: nothing is changed unless the entry is found at exactly one place.
 *
 * Mirrors `FmgrBuiltin` of src/include/utils/fmgrtab.h: foid, nargs, strict and retset, funcName, func.
 */
import type { PGlite } from "@electric-sql/pglite";

type PostgresModule = PGlite["Module"];

const name = Buffer.from("pg_reload_conf\0");
/** Its object identifier; see pg_proc.dat. */
const identifier = 2621;
const wordsOfName = 2;
const wordsOfFunction = 3;
/** The table is static data, which lies below this. */
const searchBytes = 16 << 20;

/** From now on it is as in PostgreSQL. Throws if this PGlite has it elsewhere. */
export function makeReloadable(postgres: PostgresModule): void {
  const { buffer } = postgres.HEAPU8;
  const words = new Int32Array(buffer, 0, Math.min(searchBytes, buffer.byteLength) >> 2);
  const isNamed = (at: number) => {
    const start = words[at + wordsOfName]! >>> 0;
    return name.equals(postgres.HEAPU8.subarray(start, start + name.length));
  };
  const found: number[] = [];
  for (let at = words.indexOf(identifier); at >= 0; at = words.indexOf(identifier, at + 1)) {
    if (isNamed(at)) found.push(at);
  }
  const flag = (postgres as unknown as { readonly _ConfigReloadPending?: number })._ConfigReloadPending;
  if (found.length !== 1 || flag === undefined) throw new Error("pg_reload_conf() was not found in this PGlite");
  const reload = postgres.addFunction(() => {
    // What SIGHUP does: SignalHandlerForConfigReload() of src/backend/postmaster/interrupt.c.
    words[flag >> 2] = 1;
    return 1;
  }, "ii");
  words[found[0]! + wordsOfFunction] = reload;
}
