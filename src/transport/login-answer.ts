/**
 * What PostgreSQL says when it starts a session, read for the login of a client.
 *
 * Owns: the values and the error in it. Does not own: what the client is told (`isolated-queue.ts`).
 */
import type { ErrorFields } from "@electric-sql/pglite-socket";
import { MessageReader } from "../wire/message-reader.ts";
import { readErrorFields } from "../wire/query-results.ts";

/** The ParameterStatus values of a login answer, and the error that ended it. */
export function readLogin(answer: Buffer): { parameters: ReadonlyMap<string, string>; error?: ErrorFields } {
  const parameters = new Map<string, string>();
  let error: ErrorFields | undefined;
  for (const { type, body } of new MessageReader().push(answer)) {
    if (type === "S") parameters.set(...readParameterStatus(body));
    if (type === "E") {
      const fields = readErrorFields(body);
      error = {
        severity: "FATAL",
        code: fields.get("C") ?? "XX000",
        message: fields.get("M") ?? "",
        ...(fields.has("D") ? { detail: fields.get("D")! } : {}),
        ...(fields.has("H") ? { hint: fields.get("H")! } : {}),
      };
    }
  }
  return { parameters, ...(error ? { error } : {}) };
}

/** The name and the value in the body of a ParameterStatus. */
export function readParameterStatus(body: Uint8Array): [name: string, value: string] {
  const [name = "", value = ""] = Buffer.from(body).toString("utf8").split("\0");
  return [name, value];
}
