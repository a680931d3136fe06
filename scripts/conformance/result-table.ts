/**
 * A result as libpq's PQprint() prints it for the isolation tester: aligned, with a head and a count of rows.
 *
 * Owns: widths and alignment. Does not own: reading the result.
 * Invariant: widths are counted in bytes, and a column is aligned to the right if all its values look like numbers, as
 * in PQprint(), so that the output can be compared with the suite's expected files byte by byte.
 */

/** Lines with their line ends; nothing for a result without columns. */
export function printResult(columns: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  if (columns.length === 0) return "";
  const isText = columns.map((_, column) => rows.some((row) => !looksNumeric(row[column] ?? "")));
  const widths = columns.map((name, column) =>
    Math.max(...[name, ...rows.map((row) => row[column] ?? "")].map((value) => Buffer.byteLength(value))),
  );
  const line = (values: readonly (string | null)[]): string =>
    values
      .map((value, column) => {
        const text = value ?? "";
        const blanks = " ".repeat(widths[column]! - Buffer.byteLength(text));
        return isText[column] ? text + blanks : blanks + text;
      })
      .join("|");
  const border = widths.map((width) => "-".repeat(width)).join("+");
  const count = `(${rows.length} row${rows.length === 1 ? "" : "s"})`;
  return `${[line(columns), border, ...rows.map(line), count].join("\n")}\n\n`;
}

/** An empty value says nothing about its column. */
function looksNumeric(value: string): boolean {
  return value === "" || (/^[0-9.Ee -]*[0-9]$/.test(value) && !/^[Ee]/.test(value));
}
