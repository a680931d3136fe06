/**
 * What the clients of a case do, as data, and how it reads in a report.
 *
 * Owns: the kinds of actions. Does not own: who decides about them (`kinds/`), or doing them (`player.ts`).
 * Invariant: a play is complete: it depends on nothing that a server says, except for the key of a CancelRequest.
 */
import type { Random } from "../../src/trace/storm/random.ts";
import type { Frame, Step } from "./frame.ts";

/**
 * How a client leaves: `terminate` says so, `fin` only closes, `rst` resets the connection, `half-close` closes its
 * own direction and reads on until the server closes too, `stay` keeps the connection until the probe is answered.
 */
export type Ending = "terminate" | "fin" | "rst" | "half-close" | "stay";

/** The endings after which a client is gone. */
export const departures: readonly Ending[] = ["terminate", "fin", "rst", "half-close"];

/** One thing that one client does. */
export type Action =
  | { readonly do: "connect"; readonly client: number }
  | {
      readonly do: "send";
      readonly client: number;
      readonly frames: readonly Frame[];
      /** The bytes of the frames as they are written, one write after the other. */
      readonly segments: readonly Buffer[];
    }
  | { readonly do: "await"; readonly client: number; readonly answer: string }
  | { readonly do: "stop reading"; readonly client: number }
  | { readonly do: "cancel"; readonly client: number; readonly key: "right" | "wrong" | "short" }
  | { readonly do: "wait"; readonly client: number; readonly ms: number }
  | { readonly do: "leave"; readonly client: number; readonly how: Ending };

/** A case, or one part of it; the server is probed after each. */
export interface Play {
  readonly title: string;
  readonly actions: readonly Action[];
}

/** The actions of a client that follows a conversation. */
export function follow(client: number, steps: readonly Step[], cut: (bytes: Buffer) => Buffer[] = whole): Action[] {
  const actions: Action[] = [{ do: "connect", client }];
  for (const { frames, answer } of steps) {
    actions.push({ do: "send", client, frames, segments: cut(Buffer.concat(frames.map(({ bytes }) => bytes))) });
    if (answer !== "") actions.push({ do: "await", client, answer });
  }
  return actions;
}

/** No cut: one segment. */
function whole(bytes: Buffer): Buffer[] {
  return [bytes];
}

/** A cut at random places, into at most about a dozen segments. */
export function randomCut(random: Random): (bytes: Buffer) => Buffer[] {
  return (bytes) => {
    const count = Math.min(random.below(12), bytes.length);
    const places = Array.from({ length: count }, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
    return [0, ...places]
      .map((from, i) => bytes.subarray(from, places[i] ?? bytes.length))
      .filter((one) => one.length > 0);
  };
}

/** The actions of several clients, each in its order, mixed at random. */
export function interleave(random: Random, parts: readonly (readonly Action[])[]): Action[] {
  const left = parts.map((part) => [...part]).filter((part) => part.length > 0);
  const mixed: Action[] = [];
  while (left.length > 0) {
    const index = random.below(left.length);
    mixed.push(left[index]!.shift()!);
    if (left[index]!.length === 0) left.splice(index, 1);
  }
  return mixed;
}

const longestLine = 200;

/** The play as lines of text. */
export function describePlay({ title, actions }: Play): string[] {
  return [title, ...actions.flatMap(describeAction)];
}

function describeAction(action: Action): string[] {
  const who = `${action.client}`;
  switch (action.do) {
    case "send": {
      const lines = action.frames.map(
        ({ line }) => `${who} F ${line.length > longestLine ? `${line.slice(0, longestLine)}…` : line}`,
      );
      const note =
        action.segments.length === 1 ? "" : ` in segments of ${action.segments.map(({ length }) => length)} bytes`;
      return note === "" ? lines : [...lines, `${who}  ${note}`];
    }
    case "await":
      return [`${who}   waits for ${action.answer}`];
    case "cancel":
      return [`${who}   CancelRequest on a connection of its own, ${action.key} key`];
    case "wait":
      return [`${who}   ${action.ms} ms`];
    case "leave":
      return [`${who}   leaves: ${action.how}`];
    default:
      return [`${who}   ${action.do}`];
  }
}
