/**
 * What PostgreSQL says of a call of the server's own functions that is not a statement of its own.
 *
 * Owns: the hint. Does not own: which calls are answered (`read-call.ts`).
 */
import { encodeFrame, Type } from "../../wire/frames.ts";
import { readErrorFields } from "../../wire/query-results.ts";

const hint =
  "The functions of pglite_devdb are called alone, each as a statement of its own, with a literal or a parameter: " +
  "select pglite_devdb.set_time($1); and not while the server is being explored. See docs/clock.md.";

/** No such schema, or no such function in it: the ledger of seeds is in a schema of that name. */
const unknown = new Set(["3F000", "42883"]);

/** The message to send instead; undefined for itself. PostgreSQL never sees a call that is answered. */
export function explained(type: number, message: Uint8Array): Uint8Array | undefined {
  if (type !== Type.ErrorResponse) return undefined;
  const body = Buffer.from(message.buffer, message.byteOffset + 5, message.length - 5);
  const fields = readErrorFields(body);
  if (!unknown.has(fields.get("C") ?? "") || !/"pglite_devdb"|function pglite_devdb\./.test(fields.get("M") ?? ""))
    return undefined;
  // The fields are in the client's encoding, and stay as they are; PostgreSQL's own hint gives way.
  const kept = body
    .toString("latin1")
    .split("\0")
    .filter((field) => field !== "" && !field.startsWith("H"));
  const told = [...kept, `H${hint}`].map((field) => `${field}\0`).join("");
  return encodeFrame(type, Buffer.from(told, "latin1"), Uint8Array.of(0));
}
