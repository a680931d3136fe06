/**
 * ICU's data for the collations of all languages, which PGlite leaves out.
 *
 * Owns: the archive (`scripts/icu-data.sh` makes it), and where PGlite looks for its files. Does not own: when they are unpacked
 * (`sessions/bundled-extensions.ts`; initdb has them from its start).
 * Invariant: it is of the version of ICU that PGlite was built with: the directory in it, `icudt76l`, is the one that ICU asks for.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** The directory in PGlite's file system; ICU_DATA names it. */
export const icuDirectory = "/pglite/icu";

/** The archive as it lies beside this module: gzip, tar. */
export function icuArchive(): Buffer {
  return readFileSync(new URL("icu76.tar.gz", import.meta.url));
}

/** The archive without compression. */
export function icuTar(): Buffer {
  return gunzipSync(icuArchive());
}
