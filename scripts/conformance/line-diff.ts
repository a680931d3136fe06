/**
 * The difference between two texts for a person.
 *
 * Owns: the longest common subsequence of lines, and the marks. Does not own: what is compared.
 */

/** All lines: `  ` in both, `- ` only in `expected`, `+ ` only in `actual`. */
export function diffLines(expected: string, actual: string): string[] {
  const [left, right] = [expected.split("\n"), actual.split("\n")];
  // common[i][j]: the length of the longest common subsequence of left from i and right from j.
  const common = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      common[i]![j] =
        left[i] === right[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
    }
  }
  const lines: string[] = [];
  for (let i = 0, j = 0; i < left.length || j < right.length; ) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      lines.push(`  ${left[i]}`);
      i++;
      j++;
    } else if (j >= right.length || (i < left.length && common[i + 1]![j]! >= common[i]![j + 1]!)) {
      lines.push(`- ${left[i++]}`);
    } else lines.push(`+ ${right[j++]}`);
  }
  return lines;
}

/** The changed lines with `around` unchanged ones on both sides; `…` stands for what is left out. */
export function shortenDiff(lines: readonly string[], around: number): string[] {
  const isNear = lines.map((_, at) =>
    lines.slice(Math.max(0, at - around), at + around + 1).some((line) => !line.startsWith("  ")),
  );
  return lines.flatMap((line, at) => {
    if (isNear[at]) return [line];
    return at > 0 && !isNear[at - 1] ? [] : ["  …"];
  });
}
