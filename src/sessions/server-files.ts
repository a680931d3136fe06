/**
 * Refuses statements that use files of the server's system, which PostgreSQL cannot see here.
 *
 * Owns: which paths are refused, and the error. Does not own: the places in PostgreSQL (`rewrite/server-files.ts`).
 * Invariant: no statement reads or writes a path that looks like a file of the machine. The data directory and PGlite's installed files
 * belong to PostgreSQL. So do relative paths, which PostgreSQL checks itself.
 */
import { posix } from "node:path";
import { featureNotSupported, raiseError } from "./errors.ts";
import type { Machine } from "./machine.ts";

/** The directory of all PGlite's files: the data directory, and the installation. */
const ownFiles = "/pglite/";
/** Works the same on every system. */
const nowhere = "/dev/null";

/** Raises an error in the running session unless the file at this path, a C string, is PostgreSQL's own. */
export function refuseOtherFiles(machine: Machine, address: number): void {
  const { bytes } = machine;
  // Only absolute paths are of interest, and most are relative.
  if (bytes[address] === slash) refuseOther(machine, bytes.subarray(address, bytes.indexOf(0, address)));
}

/** Does the same for a value of type `text`. */
export function refuseOtherFileNames(machine: Machine, address: number): void {
  const { bytes } = machine;
  const head = bytes[address]!;
  // VARATT_IS_1B, VARATT_IS_4B_U (varatt.h); a path is too short to be compressed.
  const isShort = (head & 1) === 1;
  if (!isShort && (head & 3) !== 0) return;
  const start = address + (isShort ? 1 : 4);
  const end = address + (isShort ? head >>> 1 : new DataView(bytes.buffer, address).getUint32(0, true) >>> 2);
  if (bytes[start] === slash) refuseOther(machine, bytes.subarray(start, end));
}

const slash = "/".charCodeAt(0);

function refuseOther(machine: Machine, bytes: Uint8Array): void {
  const path = posix.normalize(Buffer.from(bytes).toString("utf8"));
  if (`${path}/`.startsWith(ownFiles) || path === nowhere) return;
  raiseError(machine, {
    code: featureNotSupported,
    message: `cannot access file "${path}": files outside the data directory are not supported`,
    hint: "Have the client read or write the file: COPY FROM STDIN, COPY TO STDOUT, psql's \\copy, \\lo_import and \\lo_export.",
  });
}
