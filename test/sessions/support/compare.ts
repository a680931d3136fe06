/**
 * Traces of one script beside each other.
 *
 * Owns: what counts as a difference, and the table that shows it. Does not own: how a trace came about.
 * Invariant: every event of every trace is compared; an event that only one side has is a difference.
 */
import type { TraceEvent } from "./run-script.ts";
import type { Script } from "./script.ts";

/** A trace and what its column is called. */
export interface NamedTrace {
  readonly name: string;
  readonly trace: readonly TraceEvent[];
}

/** What the comparison found. */
export interface Comparison {
  /** Events that were compared. */
  readonly events: number;
  readonly differences: number;
  /** One column per session and one per trace, the differing rows marked. */
  readonly table: string;
}

interface Row {
  readonly line: number;
  readonly session: string;
  readonly step: string;
  /** One cell for what is written, then one for each trace. */
  readonly cells: readonly string[];
  readonly differs: boolean;
}

const nothingWritten = "";

/** Compares the traces with each other and with what is written in the script. */
export function compareTraces(script: Script, traces: readonly NamedTrace[]): Comparison {
  const written = writtenEvents(script);
  const sides = traces.map(({ trace }) => keyed(trace));
  const keys = new Map([written, ...sides].flatMap((side) => [...side.entries()]));
  const rows = [...keys.values()]
    .sort(
      (a, b) =>
        a.line - b.line || Number(a.kind === "end") - Number(b.kind === "end") || (a.session < b.session ? -1 : 1),
    )
    .map((event) => rowOf(script, event, written, sides));
  const differences = rows.filter(({ differs }) => differs).length;
  const headings = ["", ...script.sessions, "written", ...traces.map(({ name }) => name)];
  return {
    events: rows.length,
    differences,
    table: format(
      headings,
      rows.map((row) => cellsOf(script, row)),
    ),
  };
}

type Written = TraceEvent & { readonly key: string };

function keyed(trace: readonly TraceEvent[]): Map<string, Written> {
  const found = new Map<string, Written>();
  for (const event of trace) {
    let key = `${event.line} ${event.kind} ${event.session}`;
    while (found.has(key)) key += " again";
    found.set(key, { ...event, key });
  }
  return found;
}

function writtenEvents({ lines }: Script): Map<string, Written> {
  let group = 0;
  const events = lines.flatMap(({ session, action, expected }, index): TraceEvent[] => {
    if (action.kind !== "end") group = index;
    if (expected === undefined) return [];
    return [{ line: group, session, kind: action.kind === "end" ? "end" : "step", outcome: expected, status: "" }];
  });
  return keyed(events);
}

function rowOf(
  script: Script,
  { key, line, session, kind }: Written,
  written: ReadonlyMap<string, Written>,
  sides: readonly ReadonlyMap<string, Written>[],
): Row {
  const events = sides.map((side) => side.get(key));
  const outcomes = events.map((event) => event?.outcome ?? "(nothing)");
  const statuses = events.map((event) => event?.status ?? "");
  const expected = written.get(key)?.outcome ?? nothingWritten;
  const sameStatus = statuses.every((status) => status === statuses[0]);
  const differs = outcomes.some((outcome) => outcome !== expected) || !sameStatus;
  const shown = outcomes.map((outcome, side) => (sameStatus ? outcome : `${outcome} [${statuses[side]}]`));
  const step = kind === "end" ? "(ends)" : script.lines[line]!.text.replace(/^\w+[:&!]+ */, "");
  return { line, session, step, cells: [expected, ...shown], differs };
}

function cellsOf(script: Script, { session, step, cells, differs }: Row): string[] {
  return [differs ? "✗" : " ", ...script.sessions.map((name) => (name === session ? step : "")), ...cells];
}

function format(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.min(70, Math.max(heading.length, ...rows.map((row) => row[column]!.length))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join(" │ ")
      .trimEnd();
  const border = widths.map((width) => "─".repeat(width)).join("─┼─");
  return [line(headings), border, ...rows.map(line)].join("\n");
}
