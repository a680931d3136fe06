/**
 * The seed as a step of a start.
 *
 * Owns: the check of the file, and the listener that a module seed gets. Does not own: running a seed and the record
 * of it (`migrate/seed.ts`).
 * Invariant: a module seed talks to a listener that nobody else knows, so that no client ever sees half of a seed.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { Transport } from "../engine/listener.ts";
import { UsageError } from "../errors.ts";
import {
  applySeed,
  recordModuleSeed,
  runModuleSeed,
  type SeedKind,
  seedKind,
  shouldRunModuleSeed,
} from "../migrate/index.ts";
import { type Log, nameOf, type ResolvedOptions } from "../options.ts";
import { clientAddress, connectionUrl } from "./address.ts";
import type { CleanupStack } from "./cleanup.ts";

/** A seed file that exists. */
interface SeedFile {
  file: string;
  kind: SeedKind;
}

/** The seed that the options name. Throws a `UsageError` that names the option. */
export function findSeed(options: ResolvedOptions, cwd: string): SeedFile | undefined {
  if (options.seed === undefined) return undefined;
  const file = resolve(cwd, options.seed);
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new UsageError(`${nameOf(options, "seed")}: there is no file ${file}`);
  }
  return { file, kind: seedKind(file) };
}

/**
 * Runs the seed unless the database has had it. `listenAlone` opens the listener for a module; it is closed again
 * before this resolves. Rejects with a `MigrationError`.
 */
export async function applySeedFile(
  engine: Engine,
  { file, kind }: SeedFile,
  listenAlone: () => Promise<Transport>,
  cleanup: CleanupStack,
  log: Log,
): Promise<void> {
  if (kind === "sql") {
    await applySeed(engine, file, log);
    return;
  }
  if (!(await shouldRunModuleSeed(engine, file, log))) return;
  const listener = await cleanup.open(listenAlone, (opened) => opened.stop());
  await runModuleSeed(file, connectionUrl(clientAddress(listener)));
  await listener.stop();
  await recordModuleSeed(engine, file);
}
