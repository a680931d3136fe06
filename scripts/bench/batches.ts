/**
 * The bytes of the load: every target gets exactly these.
 *
 * Owns: building batches, and stamping a number into a prebuilt one. Does not own: when they are sent.
 * Invariant: a stamped number always has eight digits, so that no length field ever changes.
 */
import { encodeMessage, encodeQuery } from "../../src/wire/frontend.ts";

/** The smallest number that a batch can carry; `stamp(n)` takes numbers from here up to eight digits. */
export const leastNumber = 10_000_000;

const placeholder = "12345678";
const int4 = 23;

/** A prebuilt batch whose one parameter is a number. */
export class NumberedBatch {
  readonly #bytes: Buffer;
  readonly #at: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#at = bytes.indexOf(placeholder);
    if (this.#at < 0) throw new Error("a numbered batch carries the placeholder number");
  }

  /** A fresh copy that carries `number`, which has eight digits. */
  stamp(number: number): Buffer {
    const copy = Buffer.from(this.#bytes);
    let rest = number;
    for (let at = this.#at + 7; at >= this.#at; at--) {
      copy[at] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    return copy;
  }
}

/** A simple Query. */
export function simple(sql: string): Buffer {
  return encodeQuery(sql);
}

/** Parse, Bind, Describe, Execute, Sync with the unnamed statement and one int4 parameter in text form. */
export function unprepared(sql: string): NumberedBatch {
  return new NumberedBatch(Buffer.concat([parse("", sql), bind(""), describePortal(), execute(), sync()]));
}

/** Bind, Execute, Sync of a named statement with one int4 parameter in text form: what a driver sends when it reuses one. */
export function prepared(statement: string): NumberedBatch {
  return new NumberedBatch(Buffer.concat([bind(statement), execute(), sync()]));
}

/**
 * Makes the named statement. A Close comes first, because targets that share one session among all clients still have
 * the statement of the last round; closing one that does not exist is no error.
 */
export function prepare(statement: string, sql: string): Buffer {
  return Buffer.concat([encodeMessage("C", Buffer.from("S"), statement), parse(statement, sql), sync()]);
}

/** A startup packet of protocol 3.0. */
export function startupPacket(user: string, database: string): Buffer {
  const fields = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0bench\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(fields.length + 8, 0);
  head.writeInt32BE(196608, 4);
  return Buffer.concat([head, fields]);
}

/** Terminate. */
export function terminate(): Buffer {
  return encodeMessage("X");
}

function parse(statement: string, sql: string): Buffer {
  const types = Buffer.alloc(6);
  types.writeInt16BE(1, 0);
  types.writeInt32BE(int4, 2);
  return encodeMessage("P", statement, sql, types);
}

function bind(statement: string): Buffer {
  const values = Buffer.alloc(10 + placeholder.length);
  values.writeInt16BE(1, 2); // no parameter formats (text); one parameter
  values.writeInt32BE(placeholder.length, 4);
  values.write(placeholder, 8, "latin1"); // and no result formats (text)
  return encodeMessage("B", "", statement, values);
}

function describePortal(): Buffer {
  return encodeMessage("D", Buffer.from("P"), "");
}

function execute(): Buffer {
  return encodeMessage("E", "", Buffer.alloc(4));
}

function sync(): Buffer {
  return encodeMessage("S");
}
