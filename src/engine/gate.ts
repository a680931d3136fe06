/**
 * The gate: what a client sends waits until somebody lets it through, and its answer until somebody hands it out.
 *
 * Owns: how a connection becomes the one that decides about the clients of its database, and what it says and is told: a Query with
 * a `GateRequest` as JSON is answered with one row that has the answer as JSON; a `GateEvent` is a notification.
 * Does not own: the gate (`transport/gate/`), who decides (`explore/`).
 */
import type { Footprint } from "../sessions/footprints.ts";

/** The startup parameter of a connection that decides. It has no session; when it ends, everything is let go. */
export const controlsGate = { "pglite_devdb.gate": "control" } as const;

/** The channel of a `GateEvent`. */
export const gateChannel = "gate";

/** Connections are process ids. */
export type GateRequest =
  /**
   * From now on what acts is held, and what was recorded is forgotten, or not recorded at all. Answered with a `GateHold` when nothing
   * runs, after so many ms at the latest.
   */
  | { readonly do: "hold"; readonly records: boolean; readonly ms: number }
  /** Lets everything go. */
  | { readonly do: "open" }
  /** Runs SQL as `aside` does and lets everything go, unless more have arrived than `seen`; answered with the settings then, or null. */
  | { readonly do: "finish"; readonly seen: number; readonly runs: readonly AsideRun[] }
  /**
   * Lets the first batch of a connection through, unless more than `seen` have arrived or it has gone; answered with a `GateStep` in the
   * end, after so many ms at the latest. `watches`: it says what was touched.
   */
  | {
      readonly do: "release";
      readonly connection: number;
      readonly seen: number;
      readonly ms: number;
      readonly watches: boolean;
    }
  /** Answered with a `GateStep` as soon as one that was blocked has its answer, or after so many ms. */
  | { readonly do: "wait"; readonly ms: number }
  /** Hands out what a connection is answered with. */
  | { readonly do: "deliver"; readonly connection: number }
  /** Runs SQL on the sessions of connections, unseen by their clients; answered with rows of text for each, none if it is closed. */
  | { readonly do: "aside"; readonly runs: readonly AsideRun[] }
  /** Answered with the settings of the sessions of connections. */
  | { readonly do: "settings"; readonly connections: readonly number[] }
  /** Answered when all that had been sent before has been looked at. */
  | { readonly do: "ping" }
  /** What a CancelRequest does. */
  | { readonly do: "cancel"; readonly connection: number }
  /** Answered with what has passed since `hold`, as `GateRecord`s. */
  | { readonly do: "record" };

/** For each connection that was asked about, what its session's client has set, and always whom it is; null where there is no session. */
export type GateSettings = readonly (readonly (readonly [name: string, value: string])[] | null)[];

/** SQL on the session of a connection. */
export interface AsideRun {
  readonly connection: number;
  readonly sql: string;
}

/** The startup parameter of a connection of whoever decides: it is expected while nothing is held. */
export const ownConnection = { "pglite_devdb.gate": "own" } as const;

/** What was found when everything was held. */
export interface GateHold {
  /** Those that can be asked: not in a transaction that has failed. */
  readonly connections: readonly number[];
  /** How many things that act have passed since nothing was held any more. */
  readonly passed: number;
  /** Whether nothing runs. */
  readonly isQuiet: boolean;
}

/** Something that acts has come, and waits. */
interface GateArrival {
  /** Counts them, from 1. */
  readonly number: number;
  readonly connection: number;
  /** What it is: the text of its statements. */
  readonly sql: string;
  /** It runs what has been let through to be prepared: a driver may ask about a statement before it runs it. */
  readonly continues: boolean;
}

/** What is told without being asked for: a connection that is `closed` has none any more. */
export type GateEvent = GateArrival | { readonly closed: number };

/** A connection for which something is held. */
export interface GateAnswer {
  readonly connection: number;
  /** `answer`: to what was let through now; `woken`: to what had been blocked; `message`: nobody had asked, a notification for example. */
  readonly kind: "answer" | "woken" | "message";
  /** Of its transaction. */
  readonly status: "I" | "T" | "E";
  /** The SQLSTATE of the first error in it. */
  readonly code?: string;
  /** Its client has read a portal in pieces: a later one is read with the snapshot of the first. */
  readonly isInPieces: boolean;
  /** It is handed out already: it is the only one. */
  readonly isDelivered: boolean;
}

/** What came of letting one through. */
export type GateStep =
  | { readonly isStale: true }
  | {
      readonly isStale: false;
      /** Those that have its locks, if it waits for one; process ids. */
      readonly blockedBy: readonly number[];
      readonly isBlocked: boolean;
      /** It ran when the time was over, and is taken for one that is blocked. */
      readonly isSilent: boolean;
      /** In the order in which they are to be handed out. */
      readonly answers: readonly GateAnswer[];
      /** What whom has touched meanwhile, if that was wanted; whoever was blocked may have gone on. */
      readonly footprints: readonly (readonly [connection: number, footprint: Footprint])[];
    };

/** What has passed, in its order. `bytes` are base64. */
export type GateRecord =
  | { readonly connection: number; readonly side: "frontend" | "backend"; readonly bytes: string }
  | { readonly connection: number; readonly decision: "wait" | "woken"; readonly on: string };
