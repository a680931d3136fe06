/**
 * The undo halves of pairs of migration files: `001.do.sql` and `001.undo.sql`, `1-up.sql` and `1-down.sql`.
 *
 * Owns: which of two files undoes the other, by their names.
 * Invariant: pure. Only `.down.sql` and Flyway's `U1__name.sql` are undo files by name alone. Any other undo file has its other half beside it, or
 * is in a folder whose files name the action behind the version, as Postgrator's do: `001.undo.anything.sql` beside any `002.do.anything.sql`.
 */

const doing = ["do", "up", "migrate", "apply", "deploy"];
const undoing = ["undo", "down", "rollback", "revert", "drop"];

/** The names of undo files that need no other half. */
const conventional = /\.down\.sql$|^U\d[\d._]*__.*\.sql$/i;

/** The version, and the word behind it. */
const versioned = /^[a-z]?\d[\d._]*?[._-]([a-z]+)[._-]/i;

/** Returns the file names that undo another file. */
export function undoFiles(names: readonly string[]): ReadonlySet<string> {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const actionOf = (name: string) => versioned.exec(name.toLowerCase())?.[1] ?? "";
  const haveActions = names.some((name) => actionOf(name) === "do");
  const undoes = (name: string) =>
    conventional.test(name) ||
    (haveActions && actionOf(name) === "undo") ||
    others(name.toLowerCase()).some((other) => known.has(other));
  return new Set(names.filter(undoes));
}

/** Returns the possible names of an undo file's other half. */
function others(name: string): string[] {
  const parts = name.split(/([._-])/);
  return parts.flatMap((part, at) => {
    if (!undoing.includes(part)) return [];
    const withWord = doing.map((word) => parts.with(at, word).join(""));
    // The other half may lack the word and the separator before or after it.
    const without = [parts.toSpliced(Math.max(at - 1, 0), 2), parts.toSpliced(at, 2)].map((rest) => rest.join(""));
    return [...withWord, ...without];
  });
}
