/**
 * A schedule as a trace, for `pglite-devdb trace`.
 *
 * Owns: what of it is written, and the trace's header. Does not own: the lines (`trace/record/`).
 */
import { resolve } from "node:path";
import type { GateRecord } from "../engine/gate.ts";
import { Recorder } from "../trace/record/recorder.ts";
import { createTraceFile } from "../trace/record/trace-file.ts";

const limitBytes = 256 * 1024 * 1024;

/** Writes it. Rejects with a `UsageError` where that cannot be. */
export async function saveTrace(path: string, records: readonly GateRecord[]): Promise<void> {
  const file = resolve(path);
  createTraceFile(file, "trace");
  let failure: Error | undefined;
  const header = { began: Date.now(), by: "server" as const, versions: { node: process.versions.node }, settings: {} };
  const recorder = new Recorder({ file, limitBytes, header }, (sentence) => {
    failure ??= new Error(sentence);
  });
  const numbers = new Map<number, number>();
  const numberOf = (connection: number): number => {
    const number = numbers.get(connection) ?? numbers.size + 1;
    numbers.set(connection, number);
    return number;
  };
  for (const record of records) {
    if ("decision" in record) recorder.decided(record.connection, record.decision, record.on);
    else recorder.tap(numberOf(record.connection), record.side, Buffer.from(record.bytes, "base64"));
  }
  for (const number of numbers.values()) recorder.tap(number, "closed");
  await recorder.close();
  if (failure) throw failure;
}
