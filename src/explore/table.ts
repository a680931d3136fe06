/**
 * A schedule for a person: a row for each step, a lane for each actor.
 *
 * Owns: the text. Does not own: what happened (`schedule-run.ts`).
 */
import type { ScheduleStep } from "./report.ts";

const widest = 44;

/** Lines of plain text, the failure first. */
export function tableOf(actors: readonly string[], steps: readonly ScheduleStep[], failure: string): string {
  const cells = steps.map(({ sql }) => shorten(sql));
  const widths = actors.map((actor) =>
    Math.max(actor.length, ...steps.map((step, at) => (step.actor === actor ? cells[at]!.length : 0))),
  );
  const digits = String(steps.length).length;
  const row = (number: string, texts: readonly string[], note = ""): string =>
    `${number.padStart(digits)}  ${texts.map((text, at) => text.padEnd(widths[at]!)).join("  ")}  ${note}`.trimEnd();
  const waiting = new Set<string>();
  const lines = steps.map((step, at) => {
    const texts = actors.map((actor) => (actor === step.actor ? cells[at]! : waiting.has(actor) ? "┊" : ""));
    if (step.isBlocked) waiting.add(step.actor);
    for (const actor of step.woke) waiting.delete(actor);
    return row(String(at + 1), texts, noteOf(step));
  });
  return [`✗ ${failure}`, row("", actors), ...lines].join("\n");
}

function noteOf({ isBlocked, blockedBy, woke, code }: ScheduleStep): string {
  const notes = [
    isBlocked ? `waits for ${blockedBy.join(", ") || "a lock"}` : "",
    code === undefined ? "" : isBlocked ? `then fails: ${code}` : `fails: ${code}`,
    woke.length === 0 ? "" : `${woke.join(", ")} ${woke.length === 1 ? "goes" : "go"} on`,
  ];
  return notes.filter((note) => note !== "").join("; ");
}

function shorten(sql: string): string {
  const line = sql.replaceAll(/\s+/g, " ");
  return line.length > widest ? `${line.slice(0, widest - 1)}…` : line;
}
