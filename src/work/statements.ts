/**
 * The prepared statements of the connections that share one session.
 *
 * Owns: which statement a client's name stands for, what it is called in the engine, and whether the engine still has
 * it. Does not own: when messages are sent or answered (`conversation.ts`). Invariant: pure; no name that a client
 * sends can reach another connection's statement.
 *
 * A named statement gets a name of its own in the shared session. The unnamed statement stays unnamed, as most drivers
 * parse it anew each time; where another connection replaced it, its Parse is sent again first, as is that of a named
 * statement that somebody's DISCARD ALL or DEALLOCATE ALL took away.
 */
import { createHash } from "node:crypto";
import { encodeFrame, int16, Type } from "../wire/frames.ts";
import { type CopyIn, copyIn, deallocatedName, isOrdinary, mayCopyIn } from "./client-sql.ts";

/** What the connections of one shared session must know of each other. */
export class SharedSession {
  /** Counts how often all named statements went away. */
  generation = 0;
  /** Counts how often `unnamedOwner` was set. */
  unnamedChanges = 0;
  #unnamedOwner: Statements | undefined;
  #lastPrefix = 0;

  /** Whose unnamed statement the engine holds; undefined for nobody's, or if that is not known. */
  get unnamedOwner(): Statements | undefined {
    return this.#unnamedOwner;
  }

  set unnamedOwner(owner: Statements | undefined) {
    this.#unnamedOwner = owner;
    this.unnamedChanges++;
  }

  /** What the engine's names of one connection's statements begin with. */
  nextPrefix(): string {
    return `${OWN_PREFIX}${(++this.#lastPrefix).toString(36)}_`;
  }
}

/** A prepared statement of one connection. */
export interface Statement {
  /** Empty for the unnamed one. */
  readonly clientName: string;
  readonly engineName: string;
  /** The Parse message that makes it, under its engine name. */
  readonly parse: Uint8Array;
  /** Whether its SQL can neither be a COPY nor take statements away. */
  readonly ordinary: boolean;
  /** A COPY from the client, or `'unclear'` where it may hold one. */
  readonly copy: CopyIn | "unclear" | undefined;
  /** The client's name of the statement that it takes away when it runs. */
  readonly deallocates: string | undefined;
  /** The session's generation that holds it; another one means that it must be parsed again. */
  generation: number;
  /** Whether its Parse was answered: not yet, with ParseComplete, or with an error. */
  state: "parsing" | "prepared" | "failed";
}

/** A message to send before the one that needs a statement, so that the engine has it. */
export interface Restore {
  readonly type: number;
  readonly bytes: Uint8Array;
  /** To be called when the engine refused it. */
  readonly failed: () => void;
  /** To be called when the engine skipped it. */
  readonly undo: () => void;
}

const OWN_PREFIX = "pglite_socket_";
// NAMEDATALEN cuts longer names; these leave room for the prefix and can be read in pg_prepared_statements.
const PLAIN_NAME = /^[a-z0-9][a-z0-9_]{0,35}$/;
const CLOSE_UNNAMED = encodeFrame(Type.Close, "S");
const nothing = (): void => {};

/** The statements of one connection, and those portals of it that need to be known. */
export class Statements {
  readonly #session: SharedSession;
  readonly #prefix: string;
  #named = new Map<string, Statement>();
  #unnamed: Statement | undefined;
  /** Portals of statements that are not ordinary, by name. */
  readonly portals = new Map<string, Statement>();

  constructor(session: SharedSession) {
    this.#session = session;
    this.#prefix = session.nextPrefix();
  }

  /** The statement that the client means by `name`. */
  get(name: string): Statement | undefined {
    return name === "" ? this.#unnamed : this.#named.get(name);
  }

  /**
   * What `name` is called in the engine. A name that is none of this connection's may be that of an SQL PREPARE and
   * stays, unless it could be that of another connection's statement.
   */
  engineName(name: string): string {
    const known = this.get(name);
    if (known) return known.engineName;
    return name.startsWith(OWN_PREFIX) ? this.#ownName(name) : name;
  }

  // The same for the same name at any time, so that a message which names it stays right.
  #ownName(clientName: string): string {
    if (PLAIN_NAME.test(clientName)) return this.#prefix + clientName;
    return `${this.#prefix}_${createHash("sha256").update(clientName).digest("hex").slice(0, 32)}`;
  }

  /** The engine's names of the named ones. */
  engineNames(): string[] {
    return [...this.#named.values()].map((statement) => statement.engineName);
  }

  /** Keeps a new statement; `message` is the client's Parse, in which its SQL begins at `sqlAt`. */
  add(clientName: string, sql: string, message: Uint8Array, sqlAt: number): Statement {
    const engineName = clientName === "" ? "" : this.#ownName(clientName);
    const ordinary = isOrdinary(message);
    const deallocates = ordinary ? undefined : this.deallocatedBy(sql);
    const rest = message.subarray(sqlAt);
    // Copied, so that it keeps no batch alive.
    let parse: Uint8Array = Buffer.from(message);
    if (deallocates !== undefined) {
      parse = encodeFrame(Type.Parse, engineName, this.deallocate(deallocates), rest.subarray(rest.indexOf(0) + 1));
    } else if (engineName !== "") {
      parse = encodeFrame(Type.Parse, engineName, rest);
    }
    const statement: Statement = {
      clientName,
      engineName,
      parse,
      ordinary,
      deallocates,
      copy: ordinary ? undefined : copyOf(sql),
      generation: this.#session.generation,
      state: "parsing",
    };
    this.put(statement);
    return statement;
  }

  /** Puts a statement in its place, unless it never came to be. */
  put(statement: Statement): void {
    if (statement.state === "failed") return;
    if (statement.clientName === "") this.#unnamed = statement;
    else this.#named.set(statement.clientName, statement);
  }

  /** Takes a statement away, unless its name stands for another one by now; puts `before` back in its place. */
  remove(statement: Statement, before?: Statement): void {
    const { clientName } = statement;
    if (this.get(clientName) !== statement) return;
    if (clientName === "") this.#unnamed = undefined;
    else this.#named.delete(clientName);
    if (before) this.put(before);
  }

  /** The engine refused the statement. */
  failed(statement: Statement): void {
    statement.state = "failed";
    this.remove(statement);
  }

  /** The engine has the statement: its ParseComplete came. */
  completed(statement: Statement): void {
    statement.state = "prepared";
    statement.generation = this.#session.generation;
    if (statement.clientName === "") this.#session.unnamedOwner = this;
  }

  /**
   * The engine's unnamed statement is this connection's from here on, or gone by its doing. Returns what to call if the
   * message that does it was skipped.
   */
  ownUnnamed(): () => void {
    const session = this.#session;
    const before = session.unnamedOwner;
    session.unnamedOwner = this;
    const changes = session.unnamedChanges;
    return () => {
      if (before === this) return;
      // What came behind it, after the Sync, was not skipped and may have dropped it: then it is not known.
      session.unnamedOwner = session.unnamedChanges === changes ? before : undefined;
    };
  }

  /** Takes note of a statement that the engine never saw. */
  defer(statement: Statement): void {
    statement.generation = -1;
    statement.state = "prepared";
    if (statement.clientName === "" && this.#session.unnamedOwner === this) this.#session.unnamedOwner = undefined;
  }

  /** Whether the client has a named statement `name` and the engine has not. */
  isLost(name: string): boolean {
    const statement = this.#named.get(name);
    return statement !== undefined && statement.generation !== this.#session.generation;
  }

  /** What to send first, so that `name` means in the engine what it means to this connection. */
  restore(name: string): readonly Restore[] {
    if (name === "") return this.#restoreUnnamed();
    const statement = this.#named.get(name);
    if (!statement || !this.isLost(name)) return [];
    statement.generation = this.#session.generation;
    const lost = (): void => {
      statement.generation = -1;
    };
    return this.#replace(statement.engineName, { bytes: statement.parse, failed: lost, undo: lost });
  }

  /**
   * What to send first, so that a DEALLOCATE finds the statement `name`. Of a lost one nothing is needed but the name,
   * and a Parse of this text works in a failed transaction, too.
   */
  makeDeallocatable(name: string): readonly Restore[] {
    if (!this.isLost(name)) return [];
    const engineName = this.engineName(name);
    const bytes = encodeFrame(Type.Parse, engineName, "rollback", int16(0));
    return this.#replace(engineName, { bytes, failed: nothing, undo: nothing });
  }

  // Closed first: it may be there after all, made for a DEALLOCATE that failed.
  #replace(engineName: string, parse: Omit<Restore, "type">): readonly Restore[] {
    const bytes = encodeFrame(Type.Close, `S${engineName}`);
    return [
      { type: Type.Close, bytes, failed: nothing, undo: nothing },
      { type: Type.Parse, ...parse },
    ];
  }

  #restoreUnnamed(): readonly Restore[] {
    if (this.#session.unnamedOwner === this) return [];
    const undo = this.ownUnnamed();
    const failed = (): void => {
      this.#session.unnamedOwner = undefined;
    };
    // Another connection's must not be taken for it.
    if (!this.#unnamed) return [{ type: Type.Close, bytes: CLOSE_UNNAMED, failed, undo }];
    return [{ type: Type.Parse, bytes: this.#unnamed.parse, failed, undo }];
  }

  /** All named statements of the session are gone, by this connection's doing. */
  discardAll(): void {
    this.#session.generation++;
    for (const [name, statement] of this.#named) {
      if (statement.state === "prepared") this.#named.delete(name);
    }
  }

  /**
   * The client's name of the statement that `sql` takes away, if it is a DEALLOCATE of one of these. Another name may be
   * that of an SQL PREPARE; so a DEALLOCATE that is parsed before its statement does not find it.
   */
  deallocatedBy(sql: string): string | undefined {
    const name = deallocatedName(sql);
    return name !== undefined && this.#named.has(name) ? name : undefined;
  }

  /** SQL that takes the statement `name` away from the engine. */
  deallocate(name: string): string {
    return `deallocate ${this.#ownName(name)}`;
  }

  /** The statement `name` is gone. */
  deallocated(name: string): void {
    this.#named.delete(name);
  }
}

/** `message` of the engine about the statement that the client calls `name`. */
export function withClientName(message: string, name: string): string | undefined {
  if (!message.includes(`"${OWN_PREFIX}`)) return undefined;
  return message.replace(/"pglite_socket_[^"]*"/, () => `"${name}"`);
}

// A Parse takes one statement: where a COPY is not alone in it, it fails, or was misread.
function copyOf(sql: string): Statement["copy"] {
  if (!mayCopyIn(sql)) return undefined;
  const copy = copyIn(sql);
  return typeof copy === "object" ? copy : "unclear";
}
