/**
 * Where a tablespace of a database in a directory may lie: in that directory.
 *
 * Owns: refusing CREATE TABLESPACE with another location. Does not own: PostgreSQL's in-place tablespaces, which are in the
 * directory and work as they do there; databases in memory, where any directory is as durable as the rest.
 * Invariant: no row of a database in a directory is kept in memory only.
 *
 * Engine: only the data directory is the system's; every other path that PostgreSQL sees is in Emscripten's memory.
 */
import { posix } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { featureNotSupported, raiseError } from "./errors.ts";

/** Emscripten's, which also takes a node of its file system. */
type Chmod = (path: unknown, ...rest: unknown[]) => void;

/** From now on, when `pglite` has started, CREATE TABLESPACE outside of the data directory is an error (0A000). */
export function refuseTablespacesInMemory(pglite: PGlite): void {
  const { Module: postgres } = pglite;
  const files = postgres.FS as unknown as { chmod: Chmod };
  const { chmod } = files;
  // CreateTableSpace (commands/tablespace.c) sets the mode of the location before it makes anything there; it is
  // PostgreSQL's only caller. Recovery repeats what was done before this was refused.
  files.chmod = (path, ...rest) => {
    if (typeof path === "string" && pglite.ready && !isInside(path)) {
      const functions = new Proxy({}, { get: (_, name: string) => Reflect.get(postgres, `_${name}`) });
      raiseError(
        { exports: functions, write: (address, bytes) => postgres.HEAPU8.set(bytes, address) },
        {
          code: featureNotSupported,
          message: "tablespaces outside of the data directory are not supported",
          detail: `This server can access its data directory only: data in "${path}" would be lost when the process ends.`,
          hint: "Leave the tablespace out, or create it in the data directory: SET allow_in_place_tablespaces = on, and use LOCATION ''.",
        },
      );
    }
    return chmod(path, ...rest);
  };
}

function isInside(path: string): boolean {
  return posix.resolve(PGlite.paths.PGDATA, path).startsWith(`${PGlite.paths.PGDATA}/`);
}
