/**
 * Payloads that did not fit into one record of the channel.
 *
 * Owns: the parts until their last one. Does not own: cutting them (`channel.ts`).
 * Invariant: parts of different runs do not mix.
 */
import { type ChannelRecord, RecordKind } from "./channel.ts";

/** Puts payloads together that came in parts; one for each direction. */
export class PartCollector {
  readonly #parts = new Map<number, Uint8Array[]>();

  /** The whole payload of a record, or undefined for a part, which is kept. */
  collect({ kind, run, payload }: ChannelRecord): Uint8Array | undefined {
    const parts = this.#parts.get(run);
    if (kind === RecordKind.part) {
      this.#parts.set(run, [...(parts ?? []), payload.slice()]);
      return undefined;
    }
    if (!parts) return payload;
    this.#parts.delete(run);
    return Buffer.concat([...parts, payload]);
  }
}
