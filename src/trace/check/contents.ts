/**
 * Whether an answer can be one to what was asked.
 *
 * Owns: comparing what is in replies with the statement. Does not own: their order (`conversation.ts`).
 * Invariant: it accuses only where no PostgreSQL could have answered so to this client alone.
 */
import type { WireMessage } from "../../wire/connection-reader.ts";
import { readDataRow, readErrorFields } from "../../wire/query-results.ts";
import type { Problem } from "./finding.ts";
import { isConstant, possibleTags } from "./sql-text.ts";
import type { About, Statement } from "./statements.ts";

/** What others have said; a value that is in none of one's own words, but in those of another connection. */
type Origin = (value: string) => number | undefined;

/** Shorter ones may be anybody's. */
const shortestTelling = 8;

/** What is wrong with a reply, if anything is. It learns what was described. */
export function judgeContent(message: WireMessage, about: About, origin: Origin): Problem | undefined {
  switch (message.name) {
    case "ParseComplete":
      if (about.statement) about.statement.isThere = true;
      return undefined;
    case "ParameterDescription":
      return judgeParameters(message.body.readInt16BE(0), about.statement);
    case "RowDescription":
    case "NoData":
      learnColumns(about, message.name === "NoData" ? 0 : message.body.readInt16BE(0));
      return undefined;
    case "DataRow":
      return judgeRow(message.body, about, origin);
    case "CommandComplete":
      return judgeTag(message.body.toString("utf8", 0, message.body.length - 1), about.statement);
    case "ErrorResponse":
      return judgeError(readErrorFields(message.body), about);
    default:
      return undefined;
  }
}

function foreign(sentence: string): Problem {
  return { kind: "foreign answer", sentence };
}

function judgeParameters(count: number, statement: Statement | undefined): Problem | undefined {
  if (statement?.parameters === undefined || statement.parameters === count) return undefined;
  return foreign(
    `got the description of ${count} parameters for a statement with ${statement.parameters}: ${shown(statement)}`,
  );
}

function learnColumns({ portal, statement, asked }: About, columns: number): void {
  if (portal) portal.columns = columns;
  else if (statement && asked === "Describe") statement.columns = columns;
}

function judgeRow(body: Buffer, { portal }: About, origin: Origin): Problem | undefined {
  const { columns, statement } = portal ?? {};
  const count = body.readInt16BE(0);
  if (columns !== undefined && columns !== count) {
    return foreign(
      `got a row with ${count} columns, where ${columns} were described${statement ? ` for ${shown(statement)}` : ""}`,
    );
  }
  if (!portal || !statement?.text || !isConstant(statement.text)) return undefined;
  const own = [...statement.text.literals, ...portal.values];
  for (const value of readDataRow(body)) {
    if (value === null || value.length < shortestTelling) continue;
    if (statement.sql.includes(value) || own.some((each) => each.includes(value))) continue;
    const whose = origin(value);
    if (whose === undefined) continue;
    return foreign(
      `got ${shortened(JSON.stringify(value))}, which connection ${whose} had asked for, as the answer to ${shown(statement)}`,
    );
  }
  return undefined;
}

function judgeTag(tag: string, statement: Statement | undefined): Problem | undefined {
  const possible = statement?.text && possibleTags(statement.text);
  if (!possible || possible.includes(tag.split(" ")[0]!)) return undefined;
  return foreign(`got ${JSON.stringify(tag)} as the end of ${shown(statement!)}`);
}

/** `bind message supplies 1 parameters, but prepared statement "" requires 5`. */
const miscount = /(\d+)\D.*"[^"]*"\D*(\d+)/s;

function judgeError(fields: ReadonlyMap<string, string>, { asked, statement }: About): Problem | undefined {
  const [code, text] = [fields.get("C"), fields.get("M") ?? ""];
  const [, supplied, required] = miscount.exec(text) ?? [];
  if (code === "08P01" && asked === "Bind" && required !== undefined && statement?.parameters === Number(supplied)) {
    return foreign(`got "${text}", but its statement has ${supplied}: ${shown(statement)}`);
  }
  if (code === "26000" && (asked === "Bind" || asked === "Describe") && statement?.isThere) {
    return foreign(`got "${text}", but it had prepared it: ${shown(statement)}`);
  }
  return undefined;
}

function shown({ sql }: Statement): string {
  return shortened(JSON.stringify(sql));
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
