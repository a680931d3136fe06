/**
 * What the migrations of a project need of a PostgreSQL, as far as it stands in their SQL.
 *
 * Owns: finding it. Does not own: where migrations are (`migrate/`), what has it (`facts.ts`).
 */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { type MigrationSource, splitStatements } from "../../migrate/index.ts";

/** An extension, and the first file that wants it. */
export interface NeededExtension {
  readonly name: string;
  readonly file: string;
}

const creating = /^create\s+extension\s+(?:if\s+not\s+exists\s+)?(?:"([^"]+)"|([\w$]+))/i;

/** The extensions that the files create, in their order. */
export async function neededExtensions({ directory }: MigrationSource, cwd: string): Promise<NeededExtension[]> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sql"));
  const found = new Map<string, NeededExtension>();
  for (const name of files.sort()) {
    const path = join(directory, name);
    const text = await readFile(path, "utf8");
    for (const { start, end, words } of splitStatements(text)) {
      if (words[0] !== "create" || words[1] !== "extension") continue;
      const [, quoted, plain] = creating.exec(text.slice(start, end).replaceAll(/\/\*[\s\S]*?\*\/|--.*/g, " ")) ?? [];
      const extension = quoted ?? plain?.toLowerCase();
      if (extension && !found.has(extension)) found.set(extension, { name: extension, file: relative(cwd, path) });
    }
  }
  return [...found.values()];
}
