/**
 * The tools of `pglite-devdb mcp`.
 *
 * Owns: their names, arguments and answers as text. Does not own: the protocol (`serve.ts`), what may be done (`../../dev-db/agent/`).
 * Invariant: no answer has more characters than `answerLimit`; one that was cut says so.
 */
import type { AgentBranch } from "../../dev-db/agent/agent-branch.ts";
import {
  answerLimit,
  type BoundedAnswer,
  boundedText,
  runBounded,
  runWithoutValues,
} from "../../dev-db/agent/bounded-answer.ts";
import { describeRelation, listRelations } from "../../dev-db/agent/describe.ts";
import { differenceLines } from "../../dev-db/schema/compare.ts";

/** A tool, as a client is told of it, and what it does. */
export interface Tool {
  readonly description: string;
  readonly properties: Readonly<Record<string, object>>;
  readonly required: readonly string[];
  readonly changes: boolean;
  /** Throws for arguments that it cannot use. */
  run(given: Readonly<Record<string, unknown>>): Promise<string>;
}

/** The tools of a branch. */
export function toolsOf(branch: AgentBranch, mayWrite: boolean): Readonly<Record<string, Tool>> {
  const sqlArgument = { sql: { type: "string", description: "one SQL statement, without others behind it" } };
  return {
    query: {
      description: mayWrite
        ? "Run one SQL statement on your own branch of the database, as a transaction of its own. It may change data and schema: nobody else sees that. To do several things in one transaction use DO or WITH."
        : "Run one SQL statement on your own branch of the database, in a transaction that only reads.",
      properties: {
        ...sqlArgument,
        parameters: {
          type: "array",
          items: { type: ["string", "number", "boolean", "null"] },
          description: "the values of $1, $2 …",
        },
      },
      required: ["sql"],
      changes: mayWrite,
      run: async ({ sql, parameters }) =>
        rowsText(await branch.use((client) => runBounded(client, textOf("sql", sql), valuesOf(parameters)))),
    },
    schema: {
      description: "List all tables and views with their columns; or, with table, tell all about one of them.",
      properties: { table: { type: "string", description: 'a name as in SQL: people, app.people, "People"' } },
      required: [],
      changes: false,
      async run({ table }) {
        const sql = table === undefined ? listRelations : describeRelation(textOf("table", table));
        const { rows, rowCount } = await branch.use((client) => runBounded(client, sql));
        if (rowCount === 0) return table === undefined ? "there are no tables" : missing(String(table));
        const lines = rows.map((row) =>
          table === undefined
            ? `${row[1]} ${row[0]} (${row[2]})${row[3] === null ? "" : ` -- ${row[3]}`}`
            : `${row[0]} ${row[1]}`,
        );
        if (rows.length < rowCount) lines.push(`… cut: ${rows.length} of ${rowCount} lines`);
        return lines.join("\n");
      },
    },
    explain: {
      description: "Show PostgreSQL's plan of a statement; with analyze run it, too, and undo what it has changed.",
      properties: { ...sqlArgument, analyze: { type: "boolean", description: "run it and measure" } },
      required: ["sql"],
      changes: false,
      async run({ sql, analyze }) {
        const rows = await planOf(branch, textOf("sql", sql), flagOf("analyze", analyze));
        return rows.map(([line]) => line).join("\n");
      },
    },
    diff: {
      description:
        "What is different in your branch, compared to the database that it was made of, as that is now: in the schema, and in the number of rows of each table. Rows that were changed are not seen.",
      properties: {},
      required: [],
      changes: false,
      async run() {
        const lines = differenceLines(await branch.diff());
        return lines.length === 0 ? "the same schema, and as many rows in each table" : lines.join("\n");
      },
    },
    reset: {
      description: "Make your branch anew, from what the database has now. What was changed in it is gone.",
      properties: {},
      required: [],
      changes: true,
      run: async () => `${await branch.reset()} is a new copy of the database`,
    },
  };
}

/** The lines of a statement's plan: one for all values where it has parameters, which `analyze` would need values for. */
async function planOf(branch: AgentBranch, sql: string, analyze: boolean) {
  const isGeneric = !analyze && /\$\d/.test(sql);
  const statement = `explain (${analyze ? "analyze, buffers" : isGeneric ? "generic_plan" : "costs"}) ${sql}`;
  const explain = isGeneric ? runWithoutValues : runBounded;
  return (await branch.use((client) => explain(client, statement), true)).rows;
}

/** What `tool` answers, in the limit. */
export async function answerOf(tool: Tool, given: Readonly<Record<string, unknown>>): Promise<string> {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(tool.properties, name));
  if (unknown !== undefined) {
    const known = Object.keys(tool.properties).join(", ") || "no arguments";
    throw new Error(`there is no argument ${JSON.stringify(unknown)}: ${known}`);
  }
  return boundedText(await tool.run(given));
}

function rowsText({ columns, rows, rowCount, tag, notices }: BoundedAnswer): string {
  const isCut = rows.length < rowCount;
  return JSON.stringify({
    ...(columns.length > 0 && { columns, rows }),
    ...(isCut && { cut: `${rows.length} of ${rowCount} rows: an answer has ${answerLimit} characters at most` }),
    ...(notices.length > 0 && { notices }),
    tag,
  });
}

function missing(table: string): string {
  throw new Error(`there is no table or view ${JSON.stringify(table)}; without table all are listed`);
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== "string" || value.trim() === "" || value.includes("\0"))
    throw new Error(`${name}: ${JSON.stringify(value) ?? "nothing"} is not a text with something in it`);
  return value;
}

function flagOf(name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== "boolean")
    throw new Error(`${name}: ${JSON.stringify(value)} is not true or false`);
  return value === true;
}

function valuesOf(parameters: unknown): (string | null)[] {
  if (parameters === undefined) return [];
  if (!Array.isArray(parameters)) throw new Error(`parameters: ${JSON.stringify(parameters)} is not an array`);
  return parameters.map((value) => {
    if (value === null) return null;
    if (!["string", "number", "boolean"].includes(typeof value) || String(value).includes("\0"))
      throw new Error(`parameters: ${JSON.stringify(value)} is not a string, a number, true, false or null`);
    return String(value);
  });
}
