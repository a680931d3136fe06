/**
 * A script as pieces that can be left out.
 *
 * Owns: where messages begin and end in what a client sends; leaving out and joining. Does not own: what is tried
 * (`shrink.ts`).
 * Invariant: only whole messages are left out, so that what is left of a connection is still the protocol.
 */
import type { Step } from "../replay/script.ts";

type Send = Extract<Step, { kind: "send" }>;

/** What of a script fails still. */
export type Pieces = readonly Step[];

/** Sizes, to be shown. */
interface Size {
  readonly connections: number;
  /** Writes after the logins. */
  readonly writes: number;
  /** Messages in them. */
  readonly frames: number;
  readonly bytes: number;
}

/** How large it is. */
export function sizeOf(steps: Pieces): Size {
  const sends = steps.filter(isSend);
  const frames = connectionsOf(steps).map(
    (connection) => frameEnds(sends.filter((step) => step.connection === connection)).length,
  );
  return {
    connections: connectionsOf(steps).length,
    writes: sends.length,
    frames: frames.reduce((sum, count) => sum + count, 0),
    bytes: sends.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
}

/** The connections that there are. */
function connectionsOf(steps: Pieces): number[] {
  return [...new Set(steps.filter(({ kind }) => kind !== "reset").map(({ connection }) => connection))];
}

/** Every way to leave out something, the largest first; `by` is how much. */
export function* without(steps: Pieces, by: "connection" | "pipeline" | "write" | "frame"): Generator<Pieces> {
  if (by === "connection") {
    for (const connection of connectionsOf(steps)) yield steps.filter((step) => step.connection !== connection);
    return;
  }
  if (by === "frame") {
    yield* withoutFrames(steps);
    return;
  }
  const groups = by === "pipeline" ? pipelines(steps) : wholeWrites(steps);
  // What is left out at the end takes its replies along, so that less has to be waited for in the next attempts.
  for (const group of groups.reverse()) yield steps.filter((step) => !group.has(step));
}

/** Every way to make one write of two that follow each other on a connection, in the place of the first or of the second. */
export function* joined(steps: Pieces): Generator<Pieces> {
  for (const [index, step] of steps.entries()) {
    if (!isSend(step)) continue;
    const at = steps.findIndex((each, next) => next > index && each.connection === step.connection);
    const other = steps[at];
    if (!other || !isSend(other)) continue;
    const bytes = Buffer.concat([step.bytes, other.bytes]);
    for (const [keep, drop] of [
      [index, at],
      [at, index],
    ] as const) {
      yield steps.flatMap((each, i) =>
        i === keep ? [{ ...each, bytes, isAnswered: other.isAnswered } as Step] : i === drop ? [] : [each],
      );
    }
  }
}

function isSend(step: Step): step is Send {
  return step.kind === "send";
}

/** Where the messages of a connection end, in bytes since its login. */
function frameEnds(sends: readonly Send[]): number[] {
  const bytes = Buffer.concat(sends.map((step) => step.bytes));
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + 5 <= bytes.length ? bytes.readInt32BE(at + 1) : Number.NaN;
    at = length >= 4 ? at + 1 + length : bytes.length;
    ends.push(at);
  }
  return ends;
}

/** The steps of each pipeline, with those that belong to none; a logged-in connection stays. */
function pipelines(steps: Pieces): Set<Step>[] {
  return connectionsOf(steps).flatMap((connection) => {
    const groups: Set<Step>[] = [];
    let group = new Set<Step>();
    for (const [step, endsWhole, last] of writesOf(steps, connection)) {
      group.add(step);
      if (!endsWhole || !"SQF".includes(last)) continue;
      groups.push(group);
      group = new Set();
    }
    return group.size > 0 ? [...groups, group] : groups;
  });
}

/** Each write that is whole messages, each hang-up and each reset. */
function wholeWrites(steps: Pieces): Set<Step>[] {
  const closes = steps.filter(({ kind }) => kind === "close" || kind === "cancel" || kind === "reset");
  const whole = connectionsOf(steps).flatMap((connection) => {
    let beginsWhole = true;
    return [...writesOf(steps, connection)].flatMap(([step, endsWhole]) => {
      const isWhole = beginsWhole && endsWhole;
      beginsWhole = endsWhole;
      return isWhole ? [step] : [];
    });
  });
  return [...whole, ...closes].map((step) => new Set<Step>([step]));
}

/** The writes of a connection, each with whether it ends where a message does, and the type of its last one. */
function* writesOf(steps: Pieces, connection: number): Generator<[step: Send, endsWhole: boolean, last: string]> {
  const sends = steps.filter(isSend).filter((step) => step.connection === connection);
  const bytes = Buffer.concat(sends.map((step) => step.bytes));
  const ends = [0, ...frameEnds(sends)];
  let at = 0;
  for (const step of sends) {
    at += step.bytes.length;
    const index = ends.indexOf(at);
    yield [step, index > 0, index > 0 ? String.fromCharCode(bytes[ends[index - 1]!]!) : ""];
  }
}

/** Leaves out one message of a write that has it whole. */
function* withoutFrames(steps: Pieces): Generator<Pieces> {
  for (const connection of connectionsOf(steps)) {
    const sends = steps.filter(isSend).filter((step) => step.connection === connection);
    const ends = [0, ...frameEnds(sends)];
    let begin = 0;
    for (const step of sends) {
      const end = begin + step.bytes.length;
      for (const [index, to] of ends.entries()) {
        const from = ends[index - 1];
        if (from === undefined || from < begin || to > end) continue;
        const bytes = Buffer.concat([step.bytes.subarray(0, from - begin), step.bytes.subarray(to - begin)]);
        yield steps.flatMap((each) => (each !== step ? [each] : bytes.length === 0 ? [] : [{ ...step, bytes }]));
      }
      begin = end;
    }
  }
}
