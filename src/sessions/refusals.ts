/**
 * The errors that clients get when no backend can send one.
 *
 * Owns: these texts, which are PostgreSQL's. Does not own: the clients that get them (`host.ts`, `session.ts`).
 */
import { SqlStateError } from "../errors.ts";
import { encodeMessage } from "../wire/frontend.ts";

/** As malloc's callers in PostgreSQL say it; the code is MAKE_SQLSTATE('5','3','2','0','0'). */
export const outOfMemory = {
  code: 5 + (3 << 6) + (2 << 12),
  message: "out of memory",
  hint: "All sessions together have 2 GB. Close some, or have them use less.",
};

/** PostgreSQL says so before a backend can speak, so it is said here (storage/lmgr/proc.c, InitProcess). */
export const tooManyClients = fatal("53300", "sorry, too many clients already");
/** The same, of a backend that found no memory for what it speaks with. */
export const noMemory = fatal("53200", outOfMemory.message);

/** For a state of the server that is not kept; `mostBytes` is what all of them may have. */
export function noRoomForMark(mostBytes: number): Error {
  const hint =
    "Drop one: db.dropSnapshot(NAME), pglite-devdb snapshot rm NAME, or SELECT pglite_devdb.drop_snapshot(NAME).";
  const detail = `All snapshots together may take ${Math.round(mostBytes / 2 ** 20)} MB.`;
  return new SqlStateError("53200", `could not keep a snapshot: out of memory. ${detail} ${hint}`);
}

/** The error for a client whose backend fails to report any other error. */
export const errorsRecur = fatal("XX000", "could not report an error or the status of the session to the client");

function fatal(code: string, message: string): Uint8Array {
  return encodeMessage("E", ...["SFATAL", "VFATAL", `C${code}`, `M${message}`], new Uint8Array(1));
}

/** The session was told to end while it waited for data of a COPY, or for the rest of a message. */
export const administratorCommand = fatal("57P01", "terminating connection due to administrator command");
