/**
 * The files of the installed PGlite package.
 *
 * Owns: where they are, and by which name what was made from them is known. Does not own: what is in them.
 * Invariant: it is the package that `import("@electric-sql/pglite")` loads here.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";

const partBytes = 1 << 18;

/** The path of one of PGlite's files, for example `pglite.wasm`. */
export function pgliteFile(name: string): string {
  const require = createRequire(import.meta.url);
  return join(dirname(require.resolve("@electric-sql/pglite")), name);
}

/** Changes with the contents of files. It tells versions apart; it does not protect from anybody. */
export function fingerprint(...names: readonly string[]): string {
  const parts = names.map((name) => {
    let size = 0;
    let crc = 0;
    for (const part of contents(pgliteFile(name))) {
      size += part.length;
      crc = crc32(part, crc);
    }
    return `${size.toString(36)}${crc.toString(36)}`;
  });
  return parts.join("-");
}

/** A file, part by part, in one small buffer: a large one that is thrown away stays with the process for its life. */
function* contents(path: string): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(partBytes);
  const file = openSync(path, "r");
  try {
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}
