/**
 * What the main thread and the engine thread tell each other beside the channel: at the start and at the end.
 *
 * Owns: these types. Does not own: the bytes of clients, which go through the channel.
 * Invariant: nothing here is sent while a query runs, but the wake-up of a main thread that has gone to its event loop.
 */
import type { ChannelMemory } from "../channel.ts";
import type { FoundExtension } from "../extensions.ts";
import type { InterruptAddresses } from "./interrupts.ts";

/** What the engine thread is started with. */
export interface ThreadOptions {
  readonly channel: ChannelMemory;
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  readonly fsync: boolean;
  readonly extensions: readonly FoundExtension[];
  /** One PostgreSQL session for each client, that many at once; absent: one for all. */
  readonly maxSessions?: number;
  /** Its one number is 1 while the thread finds out whether it can have sessions: an end then says that it cannot. */
  readonly checking: Int32Array<SharedArrayBuffer>;
}

/** What it says. An error that ends it arrives as the worker's `error` event. */
export type ThreadMessage =
  | { readonly kind: "ready"; readonly memory: SharedArrayBuffer; readonly addresses: InterruptAddresses }
  | { readonly kind: "wake" }
  /** It begins a step of finding out whether it can have sessions. One that takes longer than `limitMs` hangs. */
  | { readonly kind: "checking"; readonly step: string; readonly limitMs: number }
  /** Whether it had to try the sessions out for that. */
  | { readonly kind: "checked"; readonly wasTried: boolean }
  | { readonly kind: "closed" };
