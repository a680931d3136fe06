/**
 * A finding: one place that breaks one rule, with what to do instead.
 *
 * Owns: its shape, its order and its line of text. Does not own: the rules.
 * Invariant: a finding can be acted on from its line alone.
 */

/** One broken rule; `line` counts from 1. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  /** What is wrong here. */
  readonly what: string;
  /** What to do instead. */
  readonly instead: string;
}

/** Returns the line that is printed: `path:line  rule  what  what to do instead`. */
export function formatFinding({ path, line, rule, what, instead }: Finding): string {
  return `${path}:${line}  ${rule}  ${what}  ${instead}`;
}

/** Orders findings by path, then line, then rule. */
export function compareFindings(a: Finding, b: Finding): number {
  return compareText(a.path, b.path) || a.line - b.line || compareText(a.rule, b.rule);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
