/**
 * What clients are served with.
 *
 * Owns: this type. Does not own: its two kinds (`own-sessions.ts`: a session for each; `one-session.ts`: one for all), or serving
 * (`session-server.ts`).
 */
import type { Branches } from "../engine/branches.ts";
import type { ChangeClock } from "../engine/clock.ts";
import type { OwnLogin } from "../engine/engine.ts";
import type { ListenOptions } from "../engine/listener.ts";
import type { States } from "../engine/states.ts";
import type { Recorder } from "../trace/record/recorder.ts";
import type { Behind } from "../transport/serve.ts";

/** PostgreSQL, for the doors and for the process itself. */
export interface Served {
  /** Resolves with what PostgreSQL crashed of. */
  readonly crash: Promise<unknown>;
  /** Something has happened that leaves PostgreSQL in no known state: that is a crash, too. Nothing of it runs from now on. */
  crashed(error: unknown): void;
  /** Absent with one session for all. */
  readonly branches?: Branches;
  /** As `branches`. */
  readonly states?: States;
  /** As `branches`. */
  readonly changeClock?: ChangeClock;
  /** The database that who asks for one gets, made if it is missing: see `engine/git-branch.ts`. Absent: that one. */
  databaseFor?(database: string): Promise<string>;
  /** Runs frontend messages of the process's own; resolves with what they are answered with. */
  run(messages: Uint8Array): Promise<Uint8Array>;
  /** `run` is as this user in this database from now on. */
  logIn(login: OwnLogin): Promise<void>;
  /** Takes what `run` has left where clients would see it. */
  endOwn(): Promise<void>;
  /** What a new door leads to; what is decided about its sessions is recorded. */
  behind(options: ListenOptions, recorder?: Recorder): Behind;
  /** Ends all sessions, checkpoints and shuts down. */
  close(): Promise<void>;
}
