/**
 * The answer to a simple Query as values.
 *
 * Owns: reading backend messages of a whole answer (text format only). Does not own: streaming or rewriting them.
 * Mirrors "Message Formats" and "Error and Notice Message Fields" in the PostgreSQL manual.
 */

/** One statement's rows, as text; `null` is SQL null. */
export interface StatementResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** The CommandComplete tag, for example `INSERT 0 1`. */
  readonly tag: string;
}

/** The fields of an ErrorResponse or NoticeResponse, by their one-letter type (`C` is the SQLSTATE, `M` the message). */
type ErrorFields = ReadonlyMap<string, string>;

/** An ErrorResponse of the engine. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly fields: ErrorFields;
  /** How many statements of the same Query had completed before the one that failed. */
  readonly completedStatements: number;
  constructor(fields: ErrorFields, completedStatements = 0) {
    super(fields.get("M") ?? "unknown error");
    this.fields = fields;
    this.completedStatements = completedStatements;
  }
  /** The SQLSTATE. */
  get code(): string {
    return this.fields.get("C") ?? "XX000";
  }
}

/** Reads the fields of an ErrorResponse or NoticeResponse body. */
export function readErrorFields(body: Uint8Array): ErrorFields {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    fields.set(String.fromCharCode(body[at]!), Buffer.from(body.subarray(at + 1, end)).toString("utf8"));
    at = end + 1;
  }
  return fields;
}

/** Reads a whole answer up to ReadyForQuery. Throws the first ErrorResponse as a `DatabaseError`. */
export function readQueryResults(answer: Buffer): StatementResult[] {
  const results: StatementResult[] = [];
  let columns: string[] = [];
  let rows: (string | null)[][] = [];
  for (let at = 0; at < answer.length; at += answer.readInt32BE(at + 1) + 1) {
    const body = answer.subarray(at + 5, at + 1 + answer.readInt32BE(at + 1));
    switch (String.fromCharCode(answer[at]!)) {
      case "T":
        columns = readRowDescription(body);
        rows = [];
        break;
      case "D":
        rows.push(readDataRow(body));
        break;
      case "C":
        results.push({ columns, rows, tag: body.toString("utf8", 0, body.length - 1) });
        columns = [];
        rows = [];
        break;
      case "E":
        throw new DatabaseError(readErrorFields(body), results.length);
    }
  }
  return results;
}

/** Reads the names of the columns of a RowDescription body. */
export function readRowDescription(body: Buffer): string[] {
  const columns: string[] = [];
  for (let i = body.readInt16BE(0), at = 2; i > 0; i--) {
    const end = body.indexOf(0, at);
    columns.push(body.toString("utf8", at, end));
    at = end + 19;
  }
  return columns;
}

/** Reads a DataRow body in text format. */
export function readDataRow(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  for (let i = body.readInt16BE(0), at = 2; i > 0; i--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}
