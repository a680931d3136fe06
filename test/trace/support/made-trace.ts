/**
 * A trace that a test writes by itself, as the recorder would.
 *
 * Owns: its file. Does not own: what is in it.
 */
import { join } from "node:path";
import { Recorder } from "../../../src/trace/record/recorder.ts";
import { createTraceFile } from "../../../src/trace/record/trace-file.ts";
import { encodeMessage, encodeStartup } from "../../../src/wire/frontend.ts";
import { temporaryDirectory } from "../../support/cli-process.ts";

const limitBytes = 1024 ** 3;

/** Writes into a recorder, and returns the file when it is closed. */
export async function makeTrace(write: (trace: Recorder) => void | Promise<void>): Promise<string> {
  const file = join(temporaryDirectory(), "made.trace");
  createTraceFile(file, "--trace");
  const header = { began: Date.now(), by: "server" as const, versions: { postgresql: "18" }, settings: {} };
  const recorder = new Recorder({ file, limitBytes, header }, (error) => {
    throw error;
  });
  await write(recorder);
  await recorder.close();
  return file;
}

/** The login of a connection whose process id is 1000 and its number. */
export function login(trace: Pick<Recorder, "tap">, connection: number): void {
  trace.tap(connection, "frontend", encodeStartup({ user: "postgres" }));
  trace.tap(connection, "backend", Buffer.concat([reply.authenticated, reply.key(1000 + connection), reply.ready()]));
}

const int = (bytes: number, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
};

/** Backend messages. */
export const reply = {
  authenticated: encodeMessage("R", int(4, 0)),
  key: (processId: number): Buffer => encodeMessage("K", int(4, processId), int(4, 7)),
  ready: (status = "I"): Buffer => encodeMessage("Z", Buffer.from(status)),
  parsed: encodeMessage("1"),
  bound: encodeMessage("2"),
  columns: (...names: string[]): Buffer =>
    encodeMessage(
      "T",
      int(2, names.length),
      ...names.flatMap((name) => [name, int(4, 0), int(2, 0), int(4, 25), int(2, -1), int(4, -1), int(2, 0)]),
    ),
  row: (...values: string[]): Buffer =>
    encodeMessage("D", int(2, values.length), ...values.flatMap((value) => [int(4, value.length), Buffer.from(value)])),
  done: (tag: string): Buffer => encodeMessage("C", tag),
  error: (code: string, text: string): Buffer => encodeMessage("E", "SERROR", `C${code}`, `M${text}`, Buffer.from([0])),
};
