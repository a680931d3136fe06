/**
 * SQL for `reset` and `invariant`, on a connection of the exploration's own.
 *
 * Owns: the tagged template, and values as JavaScript has them. Does not own: the connection's bytes (`dev-db/server-client.ts`).
 * Invariant: what is in `${…}` is a parameter, never a part of the statement.
 */
import { ServerClient } from "../dev-db/server-client.ts";
import { ownConnection } from "../engine/gate.ts";
import { encodeBind, encodeDescribe, encodeExecute, encodeParse, encodeQuery, encodeSync } from "../wire/frontend.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { DatabaseError, readDataRow, readErrorFields } from "../wire/query-results.ts";

/** A value as a parameter. */
type SqlParameter = string | number | bigint | boolean | Date | null;

// biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what comes; a type can be given.
type AnyRow = Record<string, any>;

/**
 * Runs SQL; resolves with the rows of its last statement. Integers and floats are numbers (beyond 2^53 text), `bool` is a boolean,
 * JSON is parsed, everything else is text. Without `${…}` it may have several statements.
 */
export type Sql = <Row = AnyRow>(text: TemplateStringsArray | string, ...values: SqlParameter[]) => Promise<Row[]>;

/** A connection and its `sql`. */
export class SqlConnection {
  readonly #client: Promise<ServerClient>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(url: string) {
    this.#client = ServerClient.connect(url, { parameters: ownConnection, connectTimeoutMs: 0 });
    this.#client.catch(() => {});
  }

  readonly sql: Sql = async <Row>(text: TemplateStringsArray | string, ...values: SqlParameter[]): Promise<Row[]> => {
    const statement =
      typeof text === "string" ? text : text.reduce((before, part, index) => `${before}$${index}${part}`);
    const messages =
      values.length === 0
        ? encodeQuery(statement)
        : Buffer.concat([
            encodeParse("", statement),
            encodeBind("", "", values.map(textOf)),
            encodeDescribe("P", ""),
            encodeExecute(""),
            encodeSync(),
          ]);
    // Whoever asks for several at once has them one after the other.
    const answer = this.#last.then(() => this.#ask(messages));
    this.#last = answer.catch(() => {});
    return readRows(await answer) as Row[];
  };

  async #ask(messages: Buffer): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    const client = await this.#client;
    await client.execProtocolRawStream(messages, { onRawData: (bytes) => void chunks.push(bytes) });
    return Buffer.concat(chunks);
  }

  async close(): Promise<void> {
    (await this.#client.catch(() => undefined))?.close();
  }
}

function textOf(value: SqlParameter): string | null {
  if (value === null) return null;
  return value instanceof Date ? value.toISOString() : String(value);
}

function readRows(answer: Buffer): Record<string, unknown>[] {
  let columns: { readonly name: string; readonly read: (text: string) => unknown }[] = [];
  let rows: Record<string, unknown>[] = [];
  let last = rows;
  for (const { type, body } of new MessageReader().push(answer)) {
    if (type === "E") throw new DatabaseError(readErrorFields(body));
    if (type === "T") columns = readColumns(body);
    else if (type === "D") {
      const values = readDataRow(body).map((text, at) => [
        columns[at]!.name,
        text === null ? null : columns[at]!.read(text),
      ]);
      rows.push(Object.fromEntries(values));
    } else if (type === "C") {
      last = rows;
      rows = [];
    }
  }
  return last;
}

/** Their names, and how their types are read ("Message Formats", RowDescription). */
function readColumns(body: Buffer): { name: string; read: (text: string) => unknown }[] {
  const columns: { name: string; read: (text: string) => unknown }[] = [];
  for (let count = body.readInt16BE(0), at = 2; count > 0; count--) {
    const end = body.indexOf(0, at);
    columns.push({ name: body.toString("utf8", at, end), read: readers.get(body.readInt32BE(end + 7)) ?? String });
    at = end + 19;
  }
  return columns;
}

const readInteger = (text: string): unknown => (Number.isSafeInteger(Number(text)) ? Number(text) : text);

/** By the number of the type (catalog/pg_type.dat). */
const readers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  ...[20, 21, 23, 26].map((type) => [type, readInteger] as const),
  ...[700, 701].map((type) => [type, Number] as const),
  ...[114, 3802].map((type) => [type, (text: string) => JSON.parse(text)] as const),
]);
