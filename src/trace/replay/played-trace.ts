/**
 * What came of a replay, as a trace that was never in a file.
 *
 * Owns: its records. Does not own: what is right (`../check/`, `compare.ts`).
 */
import type { Trace, TraceRecord } from "../read/trace-reader.ts";
import type { PlayTap } from "./replay-connection.ts";

/** Takes what passes. */
export class PlayedTrace implements Trace {
  readonly header = { began: Date.now(), by: "proxy" as const, versions: {}, settings: {} };
  readonly isPartial = false;
  readonly #began = performance.now();
  readonly #records: TraceRecord[] = [];

  readonly tap: PlayTap = (connection, source, bytes) => {
    const time = Math.round((performance.now() - this.#began) * 1000);
    const place = { file: "the replay", line: this.#records.length + 2, time, connection };
    if (source === "closed") this.#records.push({ kind: "closed", ...place });
    else this.#records.push({ kind: "bytes", side: source, bytes: Buffer.from(bytes ?? []), ...place });
  };

  *records(): Generator<TraceRecord> {
    yield* this.#records;
  }
}
