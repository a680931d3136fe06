/**
 * A seed that is code: a module's default function, or a function of the caller.
 *
 * Owns: finding and calling it, and the record of which of them a database has had. Does not own: a listener; the function
 * gets a URL from whoever starts one for it.
 * Invariant: it runs at most once per database and name, so that a second start on the same data adds nothing.
 */
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MigrationError } from "../errors.ts";
import type { DatabaseFunction, Log } from "../options.ts";
import { executeOnLedger, type SqlEngine } from "./migration.ts";
import { isNewSeed, ownChecksum, recordInOwnLedger, seedLedger } from "./own-ledger.ts";
import { displayPath } from "./sql-place.ts";

/** See the head of the file. */
export interface CodeSeed {
  /** What the ledger calls it. */
  readonly name: string;
  /** What a message calls it. */
  readonly title: string;
  text(): Promise<string>;
  /** Rejects with a `MigrationError`. */
  load(): Promise<DatabaseFunction>;
}

/** The default export of a module. A TypeScript module is imported as this Node (or a loader given to it) can. */
export function moduleSeed(file: string, name: string = basename(file)): CodeSeed {
  const path = resolve(file);
  const title = `the seed ${displayPath(path)}`;
  return {
    name,
    title,
    text: () => readFile(path, "utf8"),
    async load() {
      const seed = await importDefault(path, title);
      if (typeof seed === "function") return seed as DatabaseFunction;
      throw new MigrationError(`${title} has no default function: export default async function seed(url) { … }`);
    },
  };
}

/** A function of the caller. */
export function functionSeed(seed: DatabaseFunction, name = "(function)"): CodeSeed {
  return { name, title: "the seed", text: async () => String(seed), load: async () => seed };
}

/** Whether the database has not had it yet. */
export async function isNewCodeSeed(engine: SqlEngine, seed: CodeSeed, log: Log = () => undefined): Promise<boolean> {
  return isNewSeed(engine, seed, ownChecksum(await seed.text()), log);
}

/** Runs it. Rejects with a `MigrationError` that has the cause. */
export async function runCodeSeed(seed: CodeSeed, url: string): Promise<void> {
  const run = await seed.load();
  try {
    await run(url);
  } catch (error) {
    throw new MigrationError(`${seed.title} failed: ${messageOf(error)}`, { cause: error });
  }
}

/** Records that it ran. Nobody else may use the engine: its session must have no open transaction. */
export async function recordCodeSeed(engine: SqlEngine, seed: CodeSeed): Promise<void> {
  const checksum = ownChecksum(await seed.text());
  await executeOnLedger(engine, seedLedger, recordInOwnLedger(seedLedger, seed.name, checksum));
}

async function importDefault(path: string, title: string): Promise<unknown> {
  try {
    const module: { default?: unknown } = await import(pathToFileURL(path).href);
    // A CommonJS module compiled from ESM has its default export one level down.
    return (module.default as { default?: unknown } | undefined)?.default ?? module.default;
  } catch (error) {
    throw new MigrationError(`${title} cannot be imported: ${messageOf(error)}${importAdvice(error)}`, {
      cause: error,
    });
  }
}

function importAdvice(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ERR_UNKNOWN_FILE_EXTENSION")
    return `\n  hint: Node ${process.version} does not run TypeScript; use Node 22.18 or later, or a .js or .sql seed`;
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
    return (
      "\n  hint: Node runs TypeScript whose types can just be left out, so not enum, namespace or parameter properties; " +
      "use a const object instead, or run another loader: NODE_OPTIONS=--import=tsx"
    );
  if (error instanceof SyntaxError)
    return '\n  hint: where package.json has "type": "commonjs", a module with import and export is named .mjs or .mts';
  return "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
