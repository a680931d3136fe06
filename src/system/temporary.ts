/**
 * The system's temporary directory.
 *
 * Owns: the message for a directory that cannot be written to. Does not own: the files in it.
 */
import { tmpdir } from "node:os";
import { UsageError } from "../errors.ts";

/** Runs `write`, which makes a file or directory there for `what`. Throws a `UsageError` that names the directory if the system refuses. */
export function inTemporaryDirectory<T>(what: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new UsageError(
      `${what}: could not write to the temporary directory ${tmpdir()}: ${code}; set TMPDIR to another directory`,
      { cause: Object.assign(new Error(message), { code }) },
    );
  }
}
