/**
 * CREATE DATABASE with STRATEGY FILE_COPY, as far as it is done from outside.
 *
 * Owns: having the files copied by whoever keeps them, and when a database that others are connected to may be copied. Does not own: the
 * files (`../cluster/memory-copies.ts`, `../engine/data-directory/directory-files.ts`), who asks for a branch (`../thread/database-branches.ts`).
 * Invariant: a database in use is copied only for the one session that may do that, as it is at one moment: in one turn its files
 * are copied and what is newer in the buffers is written over the copies, while no transaction that has changed anything in
 * it is open. Without that rule a commit that comes later would make half a transaction visible in the copy. Whatever else is on its
 * way then is as after a crash at that moment and a recovery, which PostgreSQL's files are made for.
 */
import assert from "node:assert/strict";
import type { Copying, Page } from "../cluster/copying.ts";
import { limits } from "../limits.ts";
import { dirtyPages, hasPages } from "./dirty-pages.ts";
import { raiseError } from "./errors.ts";
import { FileCopyDefault } from "./file-copy-default.ts";
import { fileError } from "./file-error.ts";
import type { CopyRequests, SessionContext, SessionState } from "./session-context.ts";
import { UtilityCommands } from "./utility-commands.ts";

/** A session with a transaction that has changed something: its process, the transaction, and a sentence about it. */
export interface Writer {
  readonly pid: number;
  readonly transaction: number;
  readonly description: string;
}

/** How long to wait between two looks at the transactions of others, in ms. */
const lookAgainMs = 1;

/** MAKE_SQLSTATE('5','5','0','0','6') and ('4','0','0','0','1'). */
const objectInUse = 5 + (5 << 6) + (6 << 24);
const serializationFailure = 4 + (1 << 24);

/** `DEFAULTTABLESPACE_OID` (catalog/pg_tablespace.dat). */
const defaultTablespace = 1663;

/** See the head of the file. */
export class DatabaseCopies implements CopyRequests {
  readonly #host: SessionContext;
  readonly #copying: Copying;
  readonly #default: FileCopyDefault | undefined;
  readonly #commands: UtilityCommands;
  readonly #openTransaction: (database: number, but: SessionState) => SessionState | undefined;
  /** Called when somebody begins to drop a database. */
  onDrop: () => void = () => undefined;
  /** Whose CREATE DATABASE may copy a database that others are connected to. */
  #privileged: SessionState | undefined;
  /** Whose last statement that is no query has nothing to ask of a checkpoint any more: a DROP DATABASE, or a CREATE DATABASE that has copied files. */
  readonly #needNoCheckpoint = new WeakSet<SessionState>();
  /** Until when its statement waits. */
  #deadline: number | undefined;
  /** The turn in which it has copied the files of a first tablespace. */
  #turn: number | undefined;

  /** `openTransaction` finds another session of a database whose transaction has changed something and is open. */
  constructor(
    host: SessionContext,
    copy: Copying,
    openTransaction: (database: number, but: SessionState) => SessionState | undefined,
  ) {
    this.#host = host;
    this.#copying = copy;
    this.#commands = new UtilityCommands(host.machine);
    this.#default = copy.isCheap ? new FileCopyDefault(host.machine, this.#commands) : undefined;
    this.#openTransaction = openTransaction;
  }

  /** Who has a transaction open that has changed something in a database; undefined if nobody does. */
  writer(database: number, but: SessionState): Writer | undefined {
    const session = this.#openTransaction(database, but);
    if (!session) return undefined;
    const { pid, proc } = session;
    return { pid, transaction: this.#host.process.transaction(proc), description: describeOwner(session) };
  }

  /** A statement is about to run that is no query: answers with the one to run instead. */
  statement(session: SessionState, planned: number): number {
    const command = this.#commands.of(planned);
    if (command === "LISTEN") session.hasListened = true;
    if (command === "DROP DATABASE") {
      this.#needNoCheckpoint.add(session);
      this.onDrop();
    } else this.#needNoCheckpoint.delete(session);
    return this.#default?.apply(planned) ?? planned;
  }

  /** From now on the session's CREATE DATABASE may copy a database that others are connected to; with undefined nobody's. */
  allow(session: SessionState | undefined): void {
    this.#privileged = session;
  }

  /**
   * `RequestCheckpoint`. CREATE DATABASE asks for one before the copy, which leaves little to be written over it, and for one afterwards,
   * so that no recovery repeats the copy: in memory there is none. DROP DATABASE asks for one so that nothing is left to be done to files
   * that are going to be removed: what says so is in the checkpointer's queue by then, before all that the next checkpoint does.
   */
  needsNoCheckpoint(session: SessionState): boolean {
    return this.#default !== undefined && this.#needNoCheckpoint.has(session);
  }

  /** `CountOtherDBBackends`, which a statement asks once: whether it is of no importance who is connected. */
  ignoresOthers(session: SessionState): boolean {
    if (session !== this.#privileged) return false;
    this.#deadline = undefined;
    this.#turn = undefined;
    return true;
  }

  /** `copydir` begins: answers 1 to be asked again, after a moment. */
  before(session: SessionState, from: number): 0 | Promise<1> {
    if (session !== this.#privileged || this.#turn !== undefined) return 0;
    const now = performance.now();
    this.#deadline ??= now + limits.branchHoldMs;
    if (now >= this.#deadline || !this.#openTransaction(this.#place(from).database, session)) return 0;
    return this.#host.scheduler.park({ deadline: now + lookAgainMs, isReal: true }).then(() => {
      this.#host.deliverSignals(session);
      return 1;
    });
  }

  /** `copydir`. Raises an error of PostgreSQL's where that moment has not come. */
  copy(session: SessionState, from: number, to: number): boolean {
    const pages = session === this.#privileged ? this.#newerPages(session, from) : [];
    const isDone = this.#copyFiles(session, this.#path(from), this.#path(to), pages);
    if (isDone) this.#needNoCheckpoint.add(session);
    else if (session === this.#privileged) this.#refuse(objectInUse, "its files could not be copied");
    return isDone;
  }

  /** Of what keeps it from copying PostgreSQL finds out the reason, in its own words, where it may copy itself. */
  #copyFiles(session: SessionState, from: string, to: string, pages: readonly Page[]): boolean {
    try {
      return this.#copying.directory(from, to, pages);
    } catch (error) {
      if (session !== this.#privileged) return false;
      const { code, reason } = fileError(error as NodeJS.ErrnoException);
      const message = `could not copy directory "${from}" to "${to}": ${reason}`;
      return raiseError(this.#host.machine, { code, message });
    }
  }

  /** Whether a copy can be had without CREATE DATABASE: see `refresh`. */
  get canRefresh(): boolean {
    return this.#copying.refresh !== undefined;
  }

  /**
   * In a turn of the session: has the files of a database to which nobody has ever been connected be what a copy of another one would have
   * in this moment. False when it is no such moment, too much would be copied, or its files have been read: what is in the buffers would stay what they were. Both are in the
   * default tablespace, and nowhere else.
   */
  refresh(session: SessionState, source: number, copy: number): boolean {
    assert(this.#host.scheduler.running === session, "files are copied in a turn of who wants them");
    if (this.#openTransaction(source, session) || hasPages(this.#host.machine, copy)) return false;
    const pages = this.#dirtyPages(defaultTablespace, source);
    if (!pages || pages.length > limits.refreshedPages) return false;
    return this.#copying.refresh?.(`base/${source}`, `base/${copy}`, pages) ?? false;
  }

  #dirtyPages(tablespace: number, database: number): Page[] | undefined {
    const { machine, process } = this.#host;
    return dirtyPages(machine, tablespace, database, process.setting("data_checksums") === "on");
  }

  #newerPages(session: SessionState, from: number): Page[] {
    const { scheduler } = this.#host;
    const { tablespace, database } = this.#place(from);
    const blocker = this.#openTransaction(database, session);
    if (blocker) this.#refuse(serializationFailure, `process ${blocker.pid} is changing it`, "Try again.");
    const turn = scheduler.turns;
    const pages = this.#dirtyPages(tablespace, database);
    const isLater = this.#turn !== undefined && this.#turn !== turn;
    if (!pages || isLater) this.#refuse(serializationFailure, "it was being changed", "Try again.");
    this.#turn = turn;
    return pages;
  }

  #refuse(code: number, reason: string, hint?: string): never {
    raiseError(this.#host.machine, {
      code,
      message: `a database in use could not be copied: ${reason}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** What a database's directory holds: base/DATABASE, or pg_tblspc/TABLESPACE/VERSION/DATABASE. */
  #place(address: number): { readonly tablespace: number; readonly database: number } {
    const parts = this.#path(address).split("/");
    const database = Number(parts.at(-1));
    const tablespace = parts.at(-4) === "pg_tblspc" ? Number(parts.at(-3)) : defaultTablespace;
    assert(
      Number.isInteger(database) && Number.isInteger(tablespace),
      "a directory that is copied is not that of a database",
    );
    return { tablespace, database };
  }

  #path(address: number): string {
    const { bytes } = this.#host.machine;
    return Buffer.from(bytes.slice(address, bytes.indexOf(0, address))).toString("utf8");
  }
}

/** A sentence about who a session belongs to, and what was done there last; empty where that is not known. */
export function describeOwner({ owner }: SessionState): string {
  if (!owner) return "";
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8").replaceAll(/\s+/g, " ").trim();
  return `Its application_name is "${text(owner.application)}", its last statement: ${text(owner.statement)}.`;
}
