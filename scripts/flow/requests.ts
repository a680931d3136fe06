/**
 * What a request is on the wire, and what answers it.
 *
 * Owns: its bytes, and the answer as something that can be compared while it comes (`answer-checker.ts`).
 * Invariant: everything of one request is written in one letter of the alphabet, so that a mix-up shows.
 */
import { encodeMessage, encodeQuery } from "../../src/wire/frontend.ts";
import type { Request } from "./play.ts";

/** The answer that one request gets, unless it is cancelled or skipped. */
export interface Expected {
  /** `sync` is the ReadyForQuery of a Sync; a simple one has its own. */
  readonly kind: "simple" | "extended" | "sync";
  /** The message types in their order; `D` and `d` stand for all rows. */
  readonly types: string;
  /** The code of every byte of its rows, the size of each row and of the last one, and how many there are. */
  readonly letter: number;
  readonly size: number;
  readonly lastSize: number;
  readonly rows: number;
  /** The text of its only row, instead. */
  readonly text?: string;
  /** The CommandComplete. */
  readonly tag: string;
  /** The SQLSTATE that it fails with. */
  readonly fails?: string;
}

/** Bytes to send, and what comes for them. */
export interface Exchange {
  readonly bytes: Buffer[];
  readonly expected: Expected[];
}

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const syncBytes = encodeMessage("S");
const flushBytes = encodeMessage("H");
const copyDone = encodeMessage("c");
const executeBytes = encodeMessage("E", "", int32(0));
const none = { letter: 0, size: 0, lastSize: 0, rows: 0, tag: "" };

/** The Sync that ends a pipeline. */
export const sync: Exchange = { bytes: [syncBytes], expected: [{ ...none, kind: "sync", types: "Z" }] };

/** The statement that tells whether a connection goes on. */
export const probe: Exchange = {
  bytes: [encodeQuery("select 1")],
  expected: [{ ...none, kind: "simple", types: "TDCZ", text: "1", rows: 1, tag: "SELECT 1" }],
};

/** Whether the request goes as Parse, Bind, Execute. */
export function isExtended({ ask, isExtended: wanted }: Request): boolean {
  return ask === "echo" || (wanted && ask !== "copy in" && ask !== "copy out" && ask !== "sleep");
}

/** What goes out for a request without what ends its pipeline, and what comes back; `letter` is a code from a to z. */
export function exchangeOf(request: Request, letter: number): Exchange {
  const { ask, bytes } = request;
  const name = String.fromCharCode(letter);
  switch (ask) {
    case "rows": {
      const { sql, sizes } = seriesOf(request, name);
      return ask1(request, `select ${sql}`, { ...none, ...sizes, letter, tag: `SELECT ${sizes.rows}` });
    }
    case "copy out": {
      const { sql, sizes } = seriesOf(request, name);
      const expected = {
        ...none,
        ...sizes,
        kind: "simple",
        types: "HdcCZ",
        letter,
        tag: `COPY ${sizes.rows}`,
      } as const;
      return { bytes: [encodeQuery(`copy (select ${sql}) to stdout`)], expected: [expected] };
    }
    case "length": {
      const expected = { ...none, text: String(bytes), rows: 1, tag: "SELECT 1" };
      const value = Buffer.alloc(bytes, letter);
      if (!isExtended(request)) return ask1(request, `select length('${value.toString("latin1")}')`, expected);
      return ask1(request, "select length($1)", expected, value);
    }
    case "echo":
      return ask1(
        request,
        "select $1::text",
        { ...none, letter, size: bytes, lastSize: bytes, rows: 1, tag: "SELECT 1" },
        Buffer.alloc(bytes, letter),
      );
    case "copy in": {
      const row = Buffer.alloc(Math.max(1, Math.min(request.piece, bytes)), letter);
      row[row.length - 1] = 0x0a;
      const data = Array.from({ length: Math.floor(bytes / row.length) }, () => encodeMessage("d", row));
      // Nothing is kept, so that the database stays small.
      const copy = encodeQuery("copy sink from stdin where false");
      return { bytes: [copy, ...data, copyDone], expected: [{ ...none, kind: "simple", types: "GCZ", tag: "COPY 0" }] };
    }
    case "fail":
      return ask1(request, "select 1/0", { ...none, fails: "22012" });
    case "sleep":
      return ask1(request, "select 1 from pg_sleep(600)", { ...none, fails: "57014" });
  }
}

/** SQL for rows of `bytes` in all, and their sizes. */
function seriesOf({ bytes, piece }: Request, letter: string) {
  const rows = Math.max(1, Math.ceil(bytes / piece));
  const lastSize = bytes - (rows - 1) * piece;
  if (rows === 1) return { sql: `repeat('${letter}', ${bytes})`, sizes: { rows, size: bytes, lastSize: bytes } };
  const size = `case when i < ${rows} then ${piece} else ${lastSize} end`;
  return {
    sql: `repeat('${letter}', ${size}) from generate_series(1, ${rows}) i`,
    sizes: { rows, size: piece, lastSize },
  };
}

function ask1(request: Request, sql: string, expected: Omit<Expected, "kind" | "types">, value?: Buffer): Exchange {
  if (!isExtended(request)) {
    return { bytes: [encodeQuery(sql)], expected: [{ ...expected, kind: "simple", types: "TDCZ" }] };
  }
  const values = value === undefined ? [int16(0)] : [int16(1), int32(value.length), value];
  const bytes = [
    encodeMessage("P", "", sql, int16(0)),
    encodeMessage("B", "", "", int16(0), ...values, int16(0)),
    executeBytes,
    ...(request.end === "flush" ? [flushBytes] : []),
  ];
  return { bytes, expected: [{ ...expected, kind: "extended", types: "12DC" }] };
}

/** What has answers come that are waited for. */
export const flush: Exchange = { bytes: [flushBytes], expected: [] };
