/**
 * What clients are told whose session is ended from here, in PostgreSQL's words.
 *
 * Owns: the texts. Does not own: when they are said. Mirrors ProcessInterrupts() in src/backend/tcop/postgres.c.
 */
import type { ErrorFields } from "@electric-sql/pglite-socket";
import type { EngineDeath } from "../engine/engine.ts";
import { Type } from "../wire/frames.ts";
import { readErrorFields } from "../wire/query-results.ts";

/** The server is stopped. */
const shutdown: ErrorFields = fatal("57P01", "terminating connection due to administrator command");

/** Only the connections of `superuser_reserved_connections` are left. */
export const onlySuperusers: ErrorFields = fatal(
  "53300",
  "remaining connection slots are reserved for roles with the SUPERUSER attribute",
);

/** The process has no open files left for another session. */
export const tooManyFiles: ErrorFields = {
  ...fatal("53300", "sorry, too many clients already"),
  detail: "The server's process has too many open files for another session.",
  hint: "Raise its limit (ulimit -n), or close connections.",
};

/** The server was brought back to an earlier state. */
export const undone: ErrorFields = {
  ...shutdown,
  detail: "The database was reset while the connection was at work.",
  hint: "Before a reset, wait for running statements and end transactions.",
};

/** What a client had set up in its session before such a moment could not be set up again: it is not to go on without. */
export function lostState(reason: string): ErrorFields {
  return { ...shutdown, detail: `The database was reset, and the connection's settings were lost: ${reason}.` };
}

/** What every client is told when the engine has died. */
export function crashOf({ cause, consequence, farewell }: EngineDeath): ErrorFields {
  if (farewell) return farewell;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return {
    ...fatal("57P02", "terminating connection because of crash of another server process"),
    detail: `The engine ended: ${reason}. ${consequence}`,
    hint: "In a moment you should be able to reconnect to the database and repeat your command.",
  };
}

function fatal(code: string, message: string): ErrorFields {
  return { severity: "FATAL", code, message };
}

/** Whether a message is the end of a session. */
export function isFatal(type: number, message: Uint8Array): boolean {
  return type === Type.ErrorResponse && readErrorFields(message.subarray(5)).get("V") === "FATAL";
}
