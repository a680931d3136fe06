/**
 * ICU's data for the collations of all languages, which PGlite leaves out.
 *
 * Owns: the archive (`scripts/icu-data.sh` makes it), and where PGlite looks for its files. Does not own: when they are unpacked
 * (`sessions/bundled-extensions.ts`; initdb has the files from its start).
 * Invariant: the archive has the ICU version that PGlite was built with: ICU looks for the archive's directory, `icudt76l`.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** The directory in PGlite's file system; ICU_DATA names it. */
export const icuDirectory = "/pglite/icu";

/** Returns the archive beside this module, a tar file compressed with gzip. */
export function icuArchive(): Buffer {
  return readFileSync(new URL("icu76.tar.gz", import.meta.url));
}

/** Returns the archive, decompressed. */
export function icuTar(): Buffer {
  return gunzipSync(icuArchive());
}
