/**
 * `pglite-devdb branch diff`: what is different between two databases of a server that runs.
 *
 * Owns: which two are meant, the exit code, and the forms of the output. Does not own: what is compared (`../dev-db/schema/`).
 * Invariant: as with `diff`, 0 is the same, 1 is different, 2 is that it cannot be said.
 */

import { compareContents, type Differences, differenceLines, rowsDiffer } from "../dev-db/schema/compare.ts";
import { knownLedgers, leaveOut } from "../dev-db/schema/left-out.ts";
import { readContents } from "../dev-db/schema/read.ts";
import { branchDatabase } from "../engine/branches.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { withDatabase } from "../options/server-url.ts";
import { escapeForTerminal, escapeJson } from "../system/terminal-text.ts";
import { connectionOf, inWords, type NamedServer, queryServer } from "./running-server.ts";

/** The exit code of two that are not the same. */
export const differentExitCode = 1;

/** What is printed, and whether the two are the same. */
interface Printed {
  readonly text: string;
  readonly same: boolean;
}

/** The flags of `branch diff`. */
interface DiffFlags {
  readonly output?: unknown;
  readonly schemaOnly?: unknown;
  readonly withLedgers?: unknown;
  readonly exclude?: unknown;
}

/** Compares two databases, each named by its branch's name or its own; without a second one the first is compared to what `url` names. Rejects with exit code 2. */
export async function diffBranches(
  { url, database: source }: NamedServer,
  names: readonly string[],
  { output: form, schemaOnly, withLedgers, exclude }: DiffFlags,
): Promise<Printed> {
  if (form !== undefined && form !== "text" && form !== "json")
    throw new UsageError(`--output ${JSON.stringify(form)} is not a form of branch diff: text or json`);
  const [first, second, more] = names;
  if (more !== undefined) throw new UsageError(`branch diff: ${JSON.stringify(more)} is an argument too many`);
  if (first === undefined)
    throw new UsageError("branch diff: name the branches to compare: pglite-devdb branch diff [A] B");
  try {
    return await inWords("branch diff", async () => {
      const there = new Set((await queryServer(url, "branch", [databasesSql])).map(([database]) => database!));
      const two = (second === undefined ? [source, first] : [first, second]).map((name, i) =>
        second === undefined && i === 0 ? name : databaseOf(name, source, there),
      );
      const [before, after] = [two[0]!, two[1]!];
      const { parameters } = connectionOf("branch");
      const isCounted = schemaOnly !== true;
      const patterns = [...(withLedgers === true ? [] : knownLedgers), ...((exclude as string[] | undefined) ?? [])];
      const read = async (database: string) =>
        leaveOut(await readContents(withDatabase(url, database), parameters, isCounted), patterns);
      const differences = compareContents(await read(before), await read(after));
      return print(before, after, differences, { asJson: form === "json", isCounted });
    });
  } catch (error) {
    throw Object.assign(error as Error, { exitCode: ExitCode.usage });
  }
}

const databasesSql = "select datname from pg_database where datallowconn and datconnlimit <> -2";

/** A branch's name is looked for before a database's. */
function databaseOf(name: string, source: string, there: ReadonlySet<string>): string {
  const branch = /^[\w.-]+$/.test(name) ? branchDatabase(source, name) : undefined;
  const found = [branch, name].find((database) => database !== undefined && there.has(database));
  if (found !== undefined) return found;
  const looked = [branch, name]
    .filter((database) => database !== undefined)
    .map((database) => JSON.stringify(database));
  throw new Error(`there is no database ${looked.join(" or ")}; pglite-devdb branch ls lists the branches`);
}

function print(
  before: string,
  after: string,
  differences: Differences,
  { asJson, isCounted }: { asJson: boolean; isCounted: boolean },
): Printed {
  const same = differences.schema.length === 0 && !differences.rows.some(rowsDiffer);
  if (asJson) return { same, text: escapeJson(JSON.stringify({ before, after, same, ...differences }, undefined, 2)) };
  const what = isCounted ? "the same schema and as many rows" : "the same schema";
  const head = same ? [`${before} and ${after} have ${what}`] : [`--- ${before}`, `+++ ${after}`];
  const lines = [...head, ...differenceLines(differences), ...(isCounted ? [hint] : [])];
  return { same, text: escapeForTerminal(lines.join("\n")) };
}

const hint = "# rows are counted, not compared: a row that was changed is not seen, nor are the values of sequences";
