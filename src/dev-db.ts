/**
 * The composition root, as a caller of the library enters it: options in, a running database out.
 *
 * Owns: the validation of the library's options. Does not own: the life of a database (`dev-db/control.ts`), the steps
 * of a start (`dev-db/open.ts`), or the command line, which resolves its options itself.
 * Invariant: a bad option is an error before anything is opened.
 */
import { controlDevDb } from "./dev-db/control.ts";
import type { DevDb, DevDbController, DevDbOptions } from "./dev-db/handle.ts";
import { resolveOptions } from "./options.ts";

/** Starts a database. Rejects with a `UsageError`, `MigrationError`, `PortTakenError` or `DataDirectoryError`, among others. */
export async function startDevDb(options: DevDbOptions = {}): Promise<DevDb> {
  return createDevDb(options).start();
}

/** Makes a handle that several callers can share; nothing is opened yet. Throws a `UsageError` for a bad option. */
export function createDevDb(options: DevDbOptions = {}): DevDbController {
  const { cwd, signal, log, ...library } = options;
  return controlDevDb(resolveOptions({ library }), { cwd, signal, log, keepsStates: true });
}
