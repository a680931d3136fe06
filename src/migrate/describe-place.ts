/**
 * How far a file of SQL is, for a person who waits.
 *
 * Owns: the words. Does not own: when they are shown (`cli/progress.ts`).
 */
import type { Migration } from "./migration.ts";
import type { SqlChunk } from "./split-statements.ts";

/** A file for which nobody has to wait is not worth a word about its size. */
const largeMb = 1;

/** The file, and how much of it is done when `chunk` begins; or how large it is, if that goes out in one. */
export function describePlace(
  { name, file: { size } }: Pick<Migration, "name" | "file">,
  { offset }: SqlChunk,
): string {
  // The offset counts characters, and a compressed file has fewer bytes.
  if (offset > 0 && offset <= size) return `${name}, ${Math.floor((100 * offset) / size)} %`;
  if (offset > 0) return `${name}, ${(offset / 1e6).toFixed(1)} MB`;
  const mb = size / 1e6;
  return mb < largeMb ? name : `${name}, ${mb.toFixed(1)} MB`;
}
