/**
 * The transactions of one connection: what each of them has read and written.
 *
 * Owns: their beginnings and ends, the rows of answers. Does not own: what follows from several of them (`anomalies.ts`).
 * Invariant: a transaction is handed on once it has committed; of one that the trace does not show whole, none of it counts.
 */
import { readDataRow } from "../../wire/query-results.ts";
import { Conversation } from "../check/conversation.ts";
import { type About, Statements } from "../check/statements.ts";
import type { TracedMessage } from "../read/traced-messages.ts";
import { type Access, accessOf } from "./access.ts";

/** Where in the trace: events are counted. */
export interface Moment {
  readonly order: number;
  readonly file: string;
  readonly line: number;
  readonly time: number;
}

/** What a column was, or is set to; `moved` and `unknown` as in `access.ts`. */
export type Known = { readonly is: string | undefined } | "moved" | "unknown";

/** A row of an answer: values by column, those of which nothing can be said left out. */
interface ReadRow {
  /** Whose values may be compared with others. */
  readonly values: ReadonlyMap<string, string | undefined>;
  /** Also those that can only tell which row it is. */
  readonly keys: ReadonlyMap<string, string | undefined>;
}

/** A plain read, without locks. */
export interface Read {
  readonly kind: "read";
  readonly table: string;
  readonly rows: readonly ReadRow[];
  readonly answered: Moment;
}

/** An update of one row. */
export interface Write {
  readonly kind: "write";
  readonly table: string;
  readonly key: { readonly column: string; readonly value: string };
  readonly sets: ReadonlyMap<string, Known>;
  readonly asked: Moment;
}

/** One that has committed. */
export interface Transaction {
  readonly connection: number;
  /** The database: tables of others only have the same names. */
  readonly scope: string;
  /** The role, and the search_path that it begins with: for another one names may mean other tables. */
  readonly namesOf: string;
  /** False: a statement by itself. */
  readonly isExplicit: boolean;
  readonly isRepeatableRead: boolean;
  readonly steps: readonly (Read | Write)[];
  /** Names in statements that were not understood; those of others count only where they may have changed something. */
  readonly unclear: ReadonlySet<string>;
  readonly changed: ReadonlySet<string>;
  /** It may have read anything. */
  readonly isOpaque: boolean;
  readonly commitAsked: Moment;
  readonly committed: Moment;
}

interface Open {
  readonly isExplicit: boolean;
  readonly isRepeatableRead: boolean;
  readonly steps: (Read | Write)[];
  readonly unclear: Set<string>;
  readonly changed: Set<string>;
  readonly asked: Moment;
  isOpaque: boolean;
  isBroken: boolean;
}

interface Column {
  readonly name: string;
  readonly type: number;
  readonly isText: boolean;
}

/** A statement that waits for its end. */
interface Running {
  readonly access: Access;
  readonly about: About;
  readonly asked: Moment;
  readonly rows: (readonly (string | null)[])[];
}

/** bool, the integers, text, the floating ones, varchar, numeric: two texts of one that differ are two values. */
const comparable: ReadonlySet<number> = new Set([16, 20, 21, 23, 25, 700, 701, 1043, 1700]);
const mostRows = 1000;

/** See the head of the file. */
export class Transactions {
  readonly #connection: number;
  readonly #conversation = new Conversation();
  readonly #statements = new Statements();
  readonly #accesses = new WeakMap<object, Access>();
  readonly #columns = new WeakMap<object, readonly Column[]>();
  readonly #running = new WeakMap<About, Running>();
  #scope = "";
  #role = "";
  #searchPath: string | undefined;
  /** Names may mean something else than for others: its own schemas, or its own tables. */
  #isOwnWorld = false;
  #open: Open | undefined;

  constructor(connection: number) {
    this.#connection = connection;
  }

  /** Something is missing. */
  lose(): void {
    this.#conversation.lose();
  }

  /** Takes its next message; the transaction that it has ended, if that has committed. */
  take(message: TracedMessage, order: number): Transaction | undefined {
    const moment = { order, file: message.file, line: message.line, time: message.time };
    if (message.side === "frontend") {
      this.#asks(message, moment);
      return undefined;
    }
    if (message.name === "ParameterStatus") this.#learns(message.body.toString("utf8").split("\0"));
    if (!this.#conversation.isFollowed) return undefined;
    const answered = this.#conversation.reply(message);
    if ("problem" in answered) return undefined;
    try {
      return this.#gets(message, answered.to, moment);
    } catch {
      this.lose();
      return undefined;
    }
  }

  #asks(message: TracedMessage, asked: Moment): void {
    const { name, body } = message;
    if (name === "StartupMessage") {
      const words = body.toString("utf8", 4).split("\0");
      const [user, database] = ["user", "database"].map((key) => words[words.indexOf(key) + 1]);
      this.#scope = words.includes("database") ? database! : user!;
      this.#role = user!;
      if (words.includes("options") || words.includes("search_path")) this.#isOwnWorld = true;
    }
    const about = this.#statements.take(message);
    this.#conversation.ask(name, about);
    const { statement } = about;
    if (!statement || (name !== "Query" && name !== "Execute")) return;
    let access = this.#accesses.get(statement);
    if (!access) {
      access = accessOf(statement.sql);
      this.#accesses.set(statement, access);
      if (/\b(?:search_path|temp|temporary)\b|\bset\s+(?:local\s+|session\s+)?(?:role|schema)\b/i.test(statement.sql))
        this.#isOwnWorld = true;
    }
    this.#running.set(about, { access, about, asked, rows: [] });
  }

  /** PostgreSQL 18 says so at the login, and at each change, whoever makes it. */
  #learns([name, value]: readonly string[]): void {
    if (name !== "search_path") return;
    if (this.#searchPath !== undefined && this.#searchPath !== value) this.#isOwnWorld = true;
    this.#searchPath = value;
  }

  #gets(message: TracedMessage, about: About | undefined, moment: Moment): Transaction | undefined {
    const { name, body } = message;
    if (name === "ReadyForQuery") {
      if (about) this.#running.delete(about);
      return this.#ready(body.toString("latin1"), moment);
    }
    if (name === "ErrorResponse" && this.#open) this.#open.isBroken = true;
    if (!about) return undefined;
    if (name === "RowDescription") this.#columns.set(about.portal ?? about.statement ?? about, readColumns(body));
    const running = this.#running.get(about);
    if (!running) return undefined;
    if (name === "DataRow" && running.rows.length < mostRows) running.rows.push(readDataRow(body));
    if (name === "ErrorResponse") this.#running.delete(about);
    if (name === "CommandComplete") {
      const tag = body.toString("utf8", 0, body.length - 1);
      if (running.access.kind !== "other") this.#running.delete(about);
      return this.#completes(running, tag, moment);
    }
    return undefined;
  }

  #completes({ access, about, asked, rows }: Running, tag: string, moment: Moment): Transaction | undefined {
    if (access.kind === "begin") {
      this.#open ??= this.#begin(asked, true, access.isRepeatableRead);
      return undefined;
    }
    if (access.kind === "end") {
      const open = this.#open;
      this.#open = undefined;
      return open && tag === "COMMIT" ? this.#commit(open, asked, moment) : undefined;
    }
    this.#open ??= this.#begin(asked, false, false);
    const open = this.#open;
    const value = (of: { literal: string } | { parameter: number }): Known => {
      const text = "literal" in of ? of.literal : about.portal?.parameters[of.parameter - 1];
      if ("parameter" in of && about.portal && of.parameter > about.portal.parameters.length) return "unknown";
      return isLegible(text) ? { is: text } : "unknown";
    };
    if (access.kind === "read" && /^SELECT \d+$/.test(tag) && rows.length < mostRows) {
      const columns = this.#columns.get(about.portal ?? {}) ?? this.#columns.get(about.statement ?? {});
      const found = columns && rows.map((row) => readRow(row, columns, access, value));
      if (found) open.steps.push({ kind: "read", table: access.table, rows: found, answered: moment });
    } else if (access.kind === "write" && /^UPDATE [01]$/.test(tag)) {
      const key = value(access.key.value);
      const isKnown = typeof key === "object" && key.is !== undefined;
      const sets = new Map([...access.sets].map(([name, to]) => [name, typeof to === "string" ? to : value(to)]));
      if (tag === "UPDATE 0") return undefined;
      if (isKnown) {
        const at = { column: access.key.column, value: key.is! };
        open.steps.push({ kind: "write", table: access.table, key: at, sets, asked });
      } else open.changed.add(access.table);
    } else {
      const names = access.kind === "other" ? access.names : [access.table];
      for (const name of names) {
        open.unclear.add(name);
        if (access.kind !== "other" || access.changes) open.changed.add(name);
      }
      if (access.kind === "other" && access.isOpaque) open.isOpaque = true;
      if (
        access.kind === "other" &&
        ["savepoint", "transaction", "prepare", "chain"].some((name) => access.names.has(name))
      )
        open.isBroken = true;
    }
    return undefined;
  }

  #ready(status: string, moment: Moment): Transaction | undefined {
    const open = this.#open;
    if (status !== "I" || !open) {
      // What was not begun by a statement that is understood.
      if (status !== "I" && open && !open.isExplicit) open.isBroken = true;
      return undefined;
    }
    this.#open = undefined;
    return open.isExplicit ? undefined : this.#commit(open, open.asked, moment);
  }

  #begin(asked: Moment, isExplicit: boolean, isRepeatableRead: boolean): Open {
    const empty = { steps: [], unclear: new Set<string>(), changed: new Set<string>() };
    return { ...empty, isExplicit, isRepeatableRead, asked, isOpaque: false, isBroken: false };
  }

  #commit(open: Open, commitAsked: Moment, committed: Moment): Transaction {
    const { isExplicit, isRepeatableRead, steps, unclear, changed, isOpaque, isBroken } = open;
    // Its effects are there all the same: as something that nobody has understood.
    const lost = this.#isOwnWorld || isBroken;
    const tables = lost ? steps.map(({ table }) => table) : [];
    const whose = {
      connection: this.#connection,
      scope: this.#scope,
      namesOf: `${this.#role} ${this.#searchPath ?? ""}`,
    };
    return {
      ...{ ...whose, isExplicit, isRepeatableRead, commitAsked, committed },
      steps: lost ? [] : steps,
      unclear,
      isOpaque,
      changed: new Set([...changed, ...tables]),
    };
  }
}

function isLegible(text: string | undefined): boolean {
  return text === undefined || !/[\p{Cc}\ufffd]/u.test(text);
}

function readColumns(body: Buffer): Column[] {
  const columns: Column[] = [];
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const end = body.indexOf(0, at);
    const name = body.toString("utf8", at, end);
    columns.push({ name, type: body.readUInt32BE(end + 7), isText: body.readInt16BE(end + 17) === 0 });
    at = end + 19;
  }
  return columns;
}

function readRow(
  row: readonly (string | null)[],
  columns: readonly Column[],
  access: Access & { kind: "read" },
  resolve: (of: { literal: string } | { parameter: number }) => Known,
): ReadRow {
  const [values, keys] = [new Map<string, string | undefined>(), new Map<string, string | undefined>()];
  for (const { column, value } of access.conditions) {
    const known = value && resolve(value);
    if (typeof known !== "object") continue;
    keys.set(column, known.is);
    values.set(column, known.is);
  }
  columns.forEach(({ name, type, isText }, at) => {
    const column = access.columns === "*" ? name : access.columns[at];
    const value = row[at] ?? undefined;
    if (column === undefined || !isText || !isLegible(value)) return;
    keys.set(column, value);
    if (comparable.has(type)) values.set(column, value);
    else values.delete(column);
  });
  return { values, keys };
}
