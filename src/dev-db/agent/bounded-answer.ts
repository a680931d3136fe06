/**
 * One statement and its answer, which has a limit.
 *
 * Owns: that it is one statement, and how much of an answer is kept. Does not own: what the statement may do (`agent-branch.ts`).
 * Invariant: the extended protocol takes one statement, so nothing can follow it; what is kept has not more characters than the limit.
 */
import {
  encodeBind,
  encodeDescribe,
  encodeExecute,
  encodeMessage,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../wire/frontend.ts";
import { DatabaseError, readDataRow, readErrorFields, readRowDescription } from "../../wire/query-results.ts";
import type { ServerClient } from "../server-client.ts";

/** How many characters an answer has at most. */
export const answerLimit = 200_000;
/** What is there beside rows. */
const othersLimit = 20_000;

/** What a statement has answered. */
export interface BoundedAnswer {
  readonly columns: readonly string[];
  /** The first ones, as text. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Of all rows, also of those that were left out. */
  readonly rowCount: number;
  /** The CommandComplete tag. */
  readonly tag: string;
  readonly notices: readonly string[];
}

/** Runs one statement. Throws its error as a `DatabaseError`; several statements are one (42601). */
export async function runBounded(
  client: ServerClient,
  sql: string,
  parameters: readonly (string | null)[] = [],
): Promise<BoundedAnswer> {
  const answer = new Collected();
  const messages = [
    encodeParse("", sql),
    encodeBind("", "", parameters),
    encodeDescribe("P", ""),
    encodeExecute(""),
    // CopyFail: a COPY … FROM STDIN would wait for data; outside of one PostgreSQL passes over it.
    encodeMessage("f", "there is no data here"),
    encodeSync(),
  ];
  await client.execProtocolRawStream(Buffer.concat(messages), { onRawData: (message) => answer.take(message) });
  if (answer.error) throw answer.error;
  return answer;
}

/** Runs one statement without values for its parameters (`EXPLAIN (GENERIC_PLAN)`), which Bind would ask for. Throws as `runBounded`. */
export async function runWithoutValues(client: ServerClient, sql: string): Promise<BoundedAnswer> {
  const ask = async (messages: readonly Buffer[]) => {
    const answer = new Collected();
    await client.execProtocolRawStream(Buffer.concat(messages), { onRawData: (message) => answer.take(message) });
    if (answer.error) throw answer.error;
    return answer;
  };
  // What Parse takes is one statement.
  await ask([encodeParse("", sql), encodeSync()]);
  return ask([encodeQuery(sql)]);
}

/** `text`, or its begin and how much was left out. */
export function boundedText(text: string, limit = answerLimit): string {
  if (text.length <= limit) return text;
  const note = `\n… cut: ${limit} of ${text.length} characters`;
  return text.slice(0, limit - note.length) + note;
}

class Collected implements BoundedAnswer {
  columns: readonly string[] = [];
  readonly rows: (string | null)[][] = [];
  rowCount = 0;
  tag = "";
  readonly notices: string[] = [];
  error: DatabaseError | undefined;
  #left = answerLimit - othersLimit;
  #leftForOthers = othersLimit;

  take(message: Uint8Array): void {
    const body = Buffer.from(message.buffer, message.byteOffset + 5, message.length - 5);
    switch (String.fromCharCode(message[0]!)) {
      case "T":
        this.columns = readRowDescription(body);
        break;
      case "D":
        this.rowCount++;
        this.#keep(body);
        break;
      case "C":
        this.tag = body.toString("utf8", 0, body.length - 1);
        break;
      case "N":
        this.#notice(readErrorFields(body).get("M") ?? "");
        break;
      case "H":
        this.#notice("the data of a COPY … TO STDOUT is not shown: a SELECT shows rows");
        break;
      case "E":
        this.error ??= new DatabaseError(readErrorFields(body));
    }
  }

  /** A row that does not fit ends it; the first one is there in any case, with values that are cut. */
  #keep(body: Buffer): void {
    if (this.#left <= 0) return;
    let row = readDataRow(body);
    let length = JSON.stringify(row).length + 1;
    if (length > this.#left) {
      if (this.rows.length > 0) {
        this.#left = 0;
        return;
      }
      // Six characters in JSON for one that is a control character.
      const each = Math.floor(this.#left / 6 / row.length);
      row = row.map((value) => (value === null ? null : cutValue(value, each)));
      length = this.#left;
    }
    this.rows.push(row);
    this.#left -= length;
  }

  #notice(text: string): void {
    if (this.#leftForOthers <= 0) return;
    this.notices.push(boundedText(text, 1000));
    this.#leftForOthers -= this.notices.at(-1)!.length * 6 + 3;
  }
}

function cutValue(value: string, limit: number): string {
  return value.length <= limit ? value : `${value.slice(0, limit)}… cut: ${limit} of ${value.length} characters`;
}
