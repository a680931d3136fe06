/**
 * What a client of the storm asks for, and the only right answer to it.
 *
 * Owns: the messages of an exchange, each with its replies. Does not own: which exchange is made (`shapes.ts`), how its
 * bytes are cut (`split.ts`), the comparison with what came (`judge.ts`).
 * Invariant: the replies are all that a PostgreSQL with nobody else on it would send, apart from ParameterStatus and
 * NoticeResponse; every row says for whom it is, so that the answer to somebody else is never taken for the right one.
 */
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../wire/frontend.ts";

/** Values of a row or of parameters, in text format. */
type Values = readonly (string | null)[];

/** A backend message that has to come, with what has to be in it. */
export type Reply =
  | { readonly type: "1" | "2" | "3" }
  | { readonly type: "t"; readonly parameters: number }
  | { readonly type: "T"; readonly columns: number }
  | { readonly type: "D"; readonly values: Values }
  | { readonly type: "C"; readonly tag: string }
  | { readonly type: "E"; readonly code: string }
  | { readonly type: "Z"; readonly status: "I" | "T" | "E" };

/** A frontend message and its replies. */
export interface Message {
  readonly bytes: Buffer;
  readonly replies: readonly Reply[];
  /** A client of this kind waits for the replies before it goes on, however the exchange is split. */
  readonly waits?: boolean;
}

/** A unit that is judged as one and counted as one query. */
export interface Exchange {
  /** The name under which it is counted. */
  readonly shape: string;
  readonly messages: readonly Message[];
  /** The connection's session is no longer what the client takes it for when the exchange went wrong. */
  readonly keepsState?: boolean;
  /** The client hangs up after the last reply, in the middle of its pipeline. */
  readonly hangsUp?: boolean;
}

/** A statement, its parameters and its one result. */
export interface Statement {
  readonly sql: string;
  readonly parameters: Values;
  readonly row: Values;
  /** How often the row comes. */
  readonly rows: number;
}

/** Parse. `names` is a statement's name. */
export function parse(name: string, { sql }: Pick<Statement, "sql">): Message {
  return { bytes: encodeParse(name, sql), replies: [{ type: "1" }] };
}

/** Bind to the unnamed portal. */
export function bind(name: string, { parameters }: Pick<Statement, "parameters">): Message {
  return { bytes: encodeBind("", name, parameters), replies: [{ type: "2" }] };
}

/** Describe of a statement. */
export function describeStatement(name: string, { parameters, row }: Statement): Message {
  const replies: Reply[] = [
    { type: "t", parameters: parameters.length },
    { type: "T", columns: row.length },
  ];
  return { bytes: encodeDescribe("S", name), replies };
}

/** Describe of the unnamed portal. */
export function describePortal({ row }: Pick<Statement, "row">): Message {
  return { bytes: encodeDescribe("P", ""), replies: [{ type: "T", columns: row.length }] };
}

/** Execute of the unnamed portal. */
export function execute(statement: Statement): Message {
  return { bytes: encodeExecute(""), replies: rowsOf(statement) };
}

/** Close of a statement. */
export function closeStatement(name: string): Message {
  return { bytes: encodeClose("S", name), replies: [{ type: "3" }] };
}

/** Sync; the transaction status that it reports is idle unless it is said otherwise. */
export function sync(status: "I" | "T" = "I"): Message {
  return { bytes: encodeSync(), replies: [{ type: "Z", status }] };
}

/** Flush after which the client waits. */
export function flush(): Message {
  return { bytes: encodeFlush(), replies: [], waits: true };
}

/** Query of one statement without parameters. */
export function query(statement: Statement): Message {
  const replies: Reply[] = [{ type: "T", columns: statement.row.length }, ...rowsOf(statement)];
  return { bytes: encodeQuery(statement.sql), replies: [...replies, { type: "Z", status: "I" }] };
}

/** Query of a command without rows, such as `begin`. */
export function command(sql: string, tag: string, status: "I" | "T"): Message {
  const replies: Reply[] = [
    { type: "C", tag },
    { type: "Z", status },
  ];
  return { bytes: encodeQuery(sql), replies };
}

/** Whether the server answers this message with ReadyForQuery. */
export function endsPipeline(message: Message): boolean {
  return message.replies.at(-1)?.type === "Z";
}

function rowsOf({ row, rows }: Statement): Reply[] {
  const data = Array.from({ length: rows }, (): Reply => ({ type: "D", values: row }));
  return [...data, { type: "C", tag: `SELECT ${rows}` }];
}
