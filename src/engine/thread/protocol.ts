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
}

/** What it says. An error that ends it arrives as the worker's `error` event. */
export type ThreadMessage =
  | { readonly kind: "ready"; readonly memory: SharedArrayBuffer; readonly addresses: InterruptAddresses }
  | { readonly kind: "wake" }
  | { readonly kind: "closed" };
