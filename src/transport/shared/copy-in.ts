/**
 * COPY … FROM STDIN where all clients share one session.
 *
 * Owns: what a client is answered before the engine has seen its COPY, and when the engine does. Does not own: the data
 * (`copy-data.ts`), whose turn it is (`shared-queue.ts`).
 * Invariant: the engine gets a COPY with all of its data, or none of it.
 */
import { encodeError, encodeFrame, int16, int32, readInt32, Type } from "../../wire/frames.ts";
import type { CopyStart } from "../../work/conversation.ts";
import { cancelled } from "../session-errors.ts";
import { CopyData, collect } from "./copy-data.ts";
import type { EngineRuns } from "./engine-runs.ts";
import type { Entry, Member, MemberCopy } from "./members.ts";

const COPY_COLUMNS = `select case when pg_catalog.to_regclass($1) is null then -1 else (select count(*) from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = '') end`;

/** See the head of the file. */
export class CopyIn {
  readonly #runs: EngineRuns;
  readonly #maxBytes: number;

  constructor(runs: EngineRuns, maxBytes: number) {
    this.#runs = runs;
    this.#maxBytes = maxBytes;
  }

  /** The client gets its CopyInResponse now and the engine its COPY when the data is there. */
  async begin(member: Member, start: CopyStart, entry: Entry): Promise<void> {
    const { columns, refusal } = await this.#columnsOf(start);
    const data = new CopyData(this.#maxBytes);
    if (refusal) {
      member.conversation.planCopy(start, false);
      await this.#runs.answer(member, (reader) => reader.feed(refusal));
    } else if (columns < 0) {
      // There is no such table: the engine says so before it reads.
      await this.#execute(member, start, data, encodeFrame(Type.CopyFail, "no such table"), false);
    } else {
      member.copy = { start, data };
      if (entry.cancelled) data.cancel(cancelled);
      entry.cancelled = false;
      member.delivery.send(copyInResponse(start.copy.columns ?? columns, start.copy.format));
    }
  }

  /** Takes what has come; at its end the COPY is run. */
  async goOn(member: Member, { start, data }: MemberCopy, entry: Entry): Promise<void> {
    const { next, end } = collect(data, entry.frames, entry.next);
    entry.next = next;
    if (end === undefined) return;
    member.copy = undefined;
    if (end !== "violation") {
      await this.#execute(member, start, data, end, true);
      return;
    }
    // As PostgreSQL, which has read half a message by then. The engine never saw the COPY.
    data.discard();
    const type = entry.frames[next - 1]!.type.toString(16).toUpperCase();
    const message = `unexpected message type 0x${type} during COPY from stdin`;
    member.delivery.send(encodeError("08P01", message));
    member.connection.terminate({
      severity: "FATAL",
      code: "08P01",
      message: "terminating connection because protocol synchronization was lost",
    });
  }

  // `columns` is -1 where there is no such table; `refusal` is the answer where PostgreSQL will not even look for it.
  async #columnsOf({ copy, frame }: CopyStart): Promise<{ columns: number; refusal?: Uint8Array }> {
    const name = "pglite_socket__copy";
    const table = Buffer.from(copy.table);
    let columns = -1;
    const refusal: Uint8Array[] = [];
    // The extended protocol, as a Query would end the client's pipeline.
    await this.#runs.exchange(
      Buffer.concat([
        // The end of an earlier one was skipped if that failed.
        encodeFrame(Type.Close, `S${name}`),
        encodeFrame(Type.Parse, name, COPY_COLUMNS, int16(1), int32(25)),
        encodeFrame(Type.Bind, name, name, int16(0), int16(1), int32(table.length), table, int16(0)),
        encodeFrame(Type.Execute, name, int32(0)),
        encodeFrame(Type.Close, `P${name}`),
        encodeFrame(Type.Close, `S${name}`),
        ...(frame.type === Type.Query ? [encodeFrame(Type.Sync)] : []),
      ]),
      (type, message) => {
        const bytes = message.subarray(0, 1 + readInt32(message, 1));
        if (type === Type.DataRow) columns = Number(Buffer.from(bytes.subarray(11)).toString());
        if (type === Type.ErrorResponse || (type === Type.ReadyForQuery && refusal.length > 0)) refusal.push(bytes);
      },
    );
    return { columns, ...(refusal.length > 0 ? { refusal: Buffer.concat(refusal) } : {}) };
  }

  async #execute(member: Member, start: CopyStart, data: CopyData, end: Uint8Array, announced: boolean): Promise<void> {
    member.conversation.planCopy(start, announced);
    try {
      await this.#runs.execute(member, data.message(start.frame.bytes, end));
    } finally {
      data.discard();
    }
  }
}

/** CopyInResponse: the client may send `columns` columns, as text (0) or binary (1). */
export function copyInResponse(columns: number, format: 0 | 1): Uint8Array {
  const codes = Array.from({ length: columns }, () => int16(format));
  return encodeFrame(Type.CopyInResponse, Uint8Array.of(format), int16(columns), ...codes);
}
