/**
 * The limits of a connection and of a turn, and what must hold between them.
 *
 * Owns: the numbers. Does not own: limits that a person sets (`options.ts`), those of a message and of input that nobody has
 * read, which are the socket library's.
 * Invariant: the inequalities below; they are asserted when this is loaded.
 */
import assert from "node:assert/strict";

/** Times in ms, sizes in bytes. */
export const limits = {
  /** How often the watchdog looks: a turn that it sees twice is asked to give way. */
  watchMs: 4,
  /** How often a cancel is repeated while PostgreSQL has not begun the statement that it is for. */
  cancelAgainMs: 5,
  /** How long a statement runs on when its client has gone without a word; as with `client_connection_check_interval`. */
  abandonedMs: 200,
  /** How long clients at most wait for the answers to what runs when the server stops. */
  quiesceMs: 1000,
  /** How long the ends of their sessions are waited for when it has stopped. */
  sessionsEndMs: 800,
  /** How long a crashed thread waits for its addresses to be held for those who connect anew, before it tells its clients. */
  heldMs: 100,
  /** How long it lives on in all, for its clients to read why. */
  lastWordsMs: 600,
  /** How long the main thread waits for a listener to stop: its thread may not listen at all. */
  stopListeningMs: 2500,
  /** How long the main thread waits at least for what runs to end and PostgreSQL to shut down; what the listener has not used comes on top. */
  closeMs: 2000,
  /** How long a branch waits for a moment at which no transaction is open that has changed something in what it is made from. */
  branchWaitMs: 5000,
  /**
   * For how long clients may hang up before they are ended: what they have said lies unread in the kernel, or will be said as soon as their event loop
   * turns, which may be this one.
   */
  leaveMs: 100,
  /** How long those who may have hung up are waited for before the clock goes back. */
  leavingMs: 500,
  /** CREATE DATABASE waits so long for them itself: it has locks and a snapshot meanwhile, which others may wait for. */
  branchHoldMs: 20,
  /** How many pages are written over a prepared branch at most: beyond that a checkpoint and a copy cost less. */
  refreshedPages: 256,
  /** How many branches are prepared of one database, and of all. */
  preparedOfOne: 2,
  prepared: 4,
  /** One is prepared when no session has had a turn for so long. */
  prepareIdleMs: 5,
  /** How much the snapshots of a server in memory may have together, of the 4 GB that sessions have a part of, too. */
  marksBytes: 2 ** 30,
  /** How much of a message of PostgreSQL's is taken in one call, before a full socket is noticed. */
  writeBytes: 1 << 18,
  /** With one session for all, an answer waits so long at most for those of the statements behind it that are not long. */
  gatherMs: 1,
  /** A few more sessions than connections: an ending session still has its place, and the start needs its own session. */
  spareSessions: 10,
  /** How many connections are for superusers only: PostgreSQL's default of `superuser_reserved_connections`. */
  reservedConnections: 3,
  /** PostgreSQL's buffer for its output (libpq/pqcomm.c): it writes less at once only to have it sent. */
  postgresBufferBytes: 8192,
  /** How many of the last batches of clients the log shows when PostgreSQL crashes, and how much of each. */
  rememberedRuns: 8,
  rememberedBytes: 200,
} as const;

/** How long the library takes at most to let clients leave, end what runs, and end those that stay. */
const libraryStopMs = 2000;
/** How long a stop may take in all. */
const stopMs = 5000;

const {
  watchMs,
  abandonedMs,
  heldMs,
  lastWordsMs,
  quiesceMs,
  stopListeningMs,
  closeMs,
  writeBytes,
  postgresBufferBytes,
} = limits;
assert(2 * watchMs < abandonedMs, "a statement gives way before its client is given up, or nobody would notice");
assert(abandonedMs < quiesceMs, "what runs at a stop is ended before its client is told so");
assert(
  quiesceMs < libraryStopMs && libraryStopMs < stopListeningMs,
  "a listener has ended its clients before it is given up",
);
assert(stopListeningMs + closeMs < stopMs, "a thread that does not listen is ended in time");
assert(heldMs < lastWordsMs, "a crashed thread tells its clients before it ends");
assert(writeBytes >= postgresBufferBytes, "a small answer is taken in one call");
