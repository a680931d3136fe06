/**
 * What the main thread and the engine thread tell each other.
 *
 * Owns: these types. Does not own: the bytes of clients, which never leave the engine thread; what is told while that
 * thread computes and reads no messages (`turn-words.ts`).
 * Invariant: nothing here is sent for what a client does.
 */
import type { MessagePort } from "node:worker_threads";
import type { SentError } from "../../system/sent-error.ts";
import type { Branches } from "../branches.ts";
import type { ClockChange, ClockState } from "../clock.ts";
import type { DirectoryIdentity } from "../data-directory/directory-ownership.ts";
import type { EngineDeath, OwnLogin } from "../engine.ts";
import type { FoundExtension } from "../extensions.ts";
import type { PerGitBranch } from "../git-branch.ts";
import type { ListenOptions, TransportStats } from "../listener.ts";
import type { TurnMemory } from "./turn-words.ts";

/** What the engine thread is started with. */
export interface ThreadOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  readonly fsync: boolean;
  /** The most that the files of a database in memory may take. */
  readonly memoryLimitBytes: number;
  /** The directory that was locked; absent in memory. */
  readonly identity?: DirectoryIdentity;
  /** Whether an empty directory gets a new database. */
  readonly mayInitialize: boolean;
  readonly extensions: readonly FoundExtension[];
  /** PostgreSQL's settings, by name, beside those that the product needs. */
  readonly settings: Readonly<Record<string, string>>;
  /** Whether the user's cache is read and written. */
  readonly cache: boolean;
  /** What a death of the engine means for the data; for the clients, a sentence. */
  readonly consequence: string;
  readonly turns: TurnMemory;
  /** Gets a `StatementOwner` for each turn that lasts for `deafAfterMs`, while the thread computes. */
  readonly reports: MessagePort;
  readonly deafAfterMs: number;
  /** A session for each client; absent: one for all. */
  readonly isolated?: IsolatedOptions;
}

/** What there is to know where each client has a session. */
export interface IsolatedOptions {
  /** How many there may be at once. */
  readonly maxSessions: number;
  /** How long one of them may idle in a transaction while another waits for its locks, in ms; 0 for as long as it likes. */
  readonly transactionIdleTimeoutMs: number;
  /** Whether a branch is made when somebody first connects to it. */
  readonly makesBranches: boolean;
  /** How long a branch is kept to which nobody is connected, in ms; 0 is for ever. */
  readonly branchTtlMs: number;
  /** Whose database is that of what is checked out; undefined: every database is itself. */
  readonly perGitBranch: PerGitBranch | undefined;
  /** What random numbers begin with; undefined: they are random. */
  readonly seedRandom: number | undefined;
  /** Its one number is 1 while the thread finds out whether it can have sessions: an end then says that it cannot. */
  readonly checking: Int32Array<SharedArrayBuffer>;
}

/** What a thread can be asked for. A listener has a number that the main thread gives it. */
export interface ThreadRequests {
  /** Runs frontend messages of the process's own. */
  execute(messages: Uint8Array): Uint8Array;
  /** What it runs from now on is run as this user in this database. */
  logIn(login: OwnLogin): void;
  /** Answers with the bound port. */
  listen(listener: number, options: Omit<ListenOptions, "log">): number;
  stopListening(listener: number): void;
  stats(listener: number): TransportStats;
  createBranch(...parameters: Parameters<Branches["create"]>): string;
  dropBranch(database: string): void;
  /** See `States`. */
  beginStates(database: string): void;
  resetState(database: string): void;
  keepState(database: string, name: string): void;
  restoreState(database: string, name: string): void;
  dropState(database: string, name: string): void;
  changeClock(change: ClockChange): ClockState;
  /** Ends all sessions, checkpoints and shuts down; the thread ends. */
  close(): void;
}

/** A crashed thread is told that its addresses are held, and it can tell its clients: they may connect anew at once. */
interface Held {
  readonly kind: "held";
  /** What they are told instead of what PostgreSQL says about a crash. */
  readonly farewell?: EngineDeath["farewell"];
}

/** It is to end as if it had crashed. */
interface Fail {
  readonly kind: "fail";
  readonly cause: SentError;
}

/** Nobody waits for its boot any more: what it runs in other processes for that ends at once. */
interface Abandon {
  readonly kind: "abandon";
}

/** What it is sent. */
export type ThreadRequest = Held | Fail | Abandon | ThreadCall;

/** One of its requests. */
export type ThreadCall = {
  [Kind in keyof ThreadRequests]: {
    readonly kind: Kind;
    readonly id: number;
    readonly parameters: Parameters<ThreadRequests[Kind]>;
  };
}[keyof ThreadRequests];

/** What it says. An error that ends it arrives as the worker's `error` event. */
export type ThreadMessage =
  /** It takes requests. */
  | { readonly kind: "serving" }
  /** What PostgreSQL has written to its log, and no client is told. */
  | { readonly kind: "log"; readonly level: "error" | "info"; readonly text: string }
  /** It begins a step of finding out whether it can have sessions. One that takes longer than `limitMs` hangs. */
  | { readonly kind: "checking"; readonly step: string; readonly limitMs: number }
  /** Whether it had to try the sessions out for that; whether it begins with code that an earlier server has left. */
  | { readonly kind: "checked"; readonly wasTried: boolean; readonly hasKeptCode: boolean }
  /** PostgreSQL has not booted: it began with the snapshot that an earlier server has left. */
  | { readonly kind: "restored" }
  | { readonly kind: "answer"; readonly id: number; readonly value?: unknown; readonly error?: SentError }
  /** What a listener has to say. */
  | { readonly kind: "line"; readonly listener: number; readonly line: string; readonly level: "info" | "debug" }
  /** PostgreSQL has crashed. Nobody listens any more, the clients are being told, and the thread ends; `runs` were the last. */
  | { readonly kind: "dying"; readonly cause: SentError; readonly runs: readonly string[] };
