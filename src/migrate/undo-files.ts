/**
 * The undo halves of pairs of migration files: `001.do.sql` and `001.undo.sql`, `1-up.sql` and `1-down.sql`.
 *
 * Owns: which of two files undoes the other, by their names.
 * Invariant: pure. A name alone makes no file an undo file, but for `.down.sql` and Flyway's `U1__name.sql`: there is its other half.
 */

const doing = ["do", "up", "migrate", "apply", "deploy"];
const undoing = ["undo", "down", "rollback", "revert", "drop"];

/** Of tools that have no other names for them. */
export const conventional = /\.down\.sql$|^U\d[\d._]*__.*\.sql$/i;

/** Of file names, those that undo another one. */
export function undoFiles(names: readonly string[]): ReadonlySet<string> {
  const known = new Set(names.map((name) => name.toLowerCase()));
  return new Set(
    names.filter((name) => conventional.test(name) || others(name.toLowerCase()).some((other) => known.has(other))),
  );
}

/** The names that a file which undoes another one may have as its other half. */
function others(name: string): string[] {
  const parts = name.split(/([._-])/);
  return parts.flatMap((part, at) => {
    if (!undoing.includes(part)) return [];
    const withWord = doing.map((word) => parts.with(at, word).join(""));
    // The first may have no word: with the separator before it, or after it.
    const without = [parts.toSpliced(Math.max(at - 1, 0), 2), parts.toSpliced(at, 2)].map((rest) => rest.join(""));
    return [...withWord, ...without];
  });
}
