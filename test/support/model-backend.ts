/**
 * A small model of one PostgreSQL session: what it answers to messages about prepared statements, portals and
 * transactions.
 *
 * Owns: the rules. Does not own: SQL; it knows the few statements of `modelSql`, their answers and nothing else.
 * Invariant: it answers as PostgreSQL does, message for message (notices aside); a protocol test holds it against the
 * engine. Mirrors PostgresMain(), exec_parse_message() and its neighbours in src/backend/tcop/postgres.c.
 */
import { encodeMessage } from "../../src/wire/frontend.ts";

/** The statements that the model knows. */
export const modelSql = {
  rows: ["select 'one'", "select 'two'", "select 'three'"],
  /** Fails when it is parsed. */
  syntaxError: "selec",
  /** Fails when it is executed, not before. */
  runtimeError: "select 1/(random()*0)::int",
  begin: "begin",
  commit: "commit",
  rollback: "rollback",
  deallocate: (name: string) => `deallocate ${name}`,
  deallocateAll: "deallocate all",
  discardAll: "discard all",
} as const;

class SqlFailure extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Portal {
  readonly sql: string;
  done: boolean;
  /** It was there when the transaction failed, which took its statements away. */
  failed: boolean;
}

const exitsTransaction = (sql: string): boolean => sql === "commit" || sql === "rollback";
const isSelect = (sql: string): boolean => sql.startsWith("select");
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** One session. */
export class ModelBackend {
  readonly #emit: (message: Buffer) => void;
  #statements = new Map<string, string>();
  #unnamed: string | undefined;
  #portals = new Map<string, Portal>();
  #status: "I" | "T" | "E" = "I";
  #skipping = false;

  /** `emit` gets every message of the answers. */
  constructor(emit: (message: Buffer) => void) {
    this.#emit = emit;
  }

  /** Whether a message other than Sync would be ignored. */
  get skipping(): boolean {
    return this.#skipping;
  }

  /** The names of its prepared statements. */
  get statementNames(): string[] {
    return [...this.#statements.keys()];
  }

  /** Runs whole frontend messages. */
  run(bytes: Uint8Array): void {
    const all = Buffer.from(bytes);
    for (let at = 0; at < all.length; ) {
      const end = at + 1 + all.readInt32BE(at + 1);
      this.#message(String.fromCharCode(all[at]!), all.subarray(at + 5, end));
      at = end;
    }
  }

  #message(type: string, body: Buffer): void {
    if (type === "S") {
      this.#skipping = false;
      this.#endOfTransaction();
      this.#ready();
      return;
    }
    if (this.#skipping) return;
    const strings = body.toString("utf8").split("\0");
    try {
      this.#act(type, strings);
    } catch (error) {
      if (!(error instanceof SqlFailure)) throw error;
      this.#emit(encodeMessage("E", `SERROR\0VERROR\0C${error.code}\0M${error.message}\0`));
      if (this.#status === "T") this.#failTransaction();
      this.#endOfTransaction();
      this.#skipping = type !== "Q";
    }
    if (type === "Q") {
      this.#endOfTransaction();
      this.#ready();
    }
  }

  #act(type: string, [first = "", second = ""]: string[]): void {
    if (type === "Q") this.#query(first);
    else if (type === "P") this.#parse(first, second);
    else if (type === "B") this.#bind(first, second);
    else if (type === "E") this.#execute(first);
    else if (type === "C") this.#close(first);
    else if (type === "D" && first.startsWith("S")) this.#describeStatement(first.slice(1));
    else if (type === "D") this.#describePortal(first.slice(1));
  }

  #query(sql: string): void {
    this.#unnamed = undefined;
    this.#check(sql);
    this.#portals.delete("");
    if (isSelect(sql)) this.#rowDescription();
    this.#run(sql);
  }

  #parse(name: string, sql: string): void {
    if (name === "") this.#unnamed = undefined;
    this.#check(sql);
    if (this.#statements.has(name)) throw new SqlFailure("42P05", `prepared statement "${name}" already exists`);
    if (name === "") this.#unnamed = sql;
    else this.#statements.set(name, sql);
    this.#emit(encodeMessage("1"));
  }

  #bind(portal: string, name: string): void {
    const sql = this.#statement(name);
    this.#refuseInFailedTransaction(sql);
    if (portal !== "" && this.#portals.has(portal)) throw new SqlFailure("42P03", `cursor "${portal}" already exists`);
    this.#portals.set(portal, { sql, done: false, failed: false });
    this.#emit(encodeMessage("2"));
  }

  #execute(name: string): void {
    const portal = this.#portal(name);
    this.#refuseInFailedTransaction(portal.failed ? "" : portal.sql);
    if (portal.done && !isSelect(portal.sql)) throw new SqlFailure("55000", `portal "${name}" cannot be run`);
    const again = portal.done;
    portal.done = true;
    if (again) this.#complete("SELECT 0");
    else this.#run(portal.sql);
  }

  #describeStatement(name: string): void {
    const sql = this.#statement(name);
    if (isSelect(sql)) this.#refuseInFailedTransaction(sql);
    this.#emit(encodeMessage("t", Buffer.alloc(2)));
    this.#description(sql);
  }

  #describePortal(name: string): void {
    const { sql } = this.#portal(name);
    if (isSelect(sql)) this.#refuseInFailedTransaction(sql);
    this.#description(sql);
  }

  #close(target: string): void {
    const name = target.slice(1);
    if (target.startsWith("P")) this.#portals.delete(name);
    else if (name === "") this.#unnamed = undefined;
    else this.#statements.delete(name);
    this.#emit(encodeMessage("3"));
  }

  #run(sql: string): void {
    const [word, name = ""] = sql.split(" ");
    if (sql === modelSql.runtimeError) throw new SqlFailure("22012", "division by zero");
    if (isSelect(sql)) {
      const value = Buffer.from(/'(.*)'/.exec(sql)![1]!);
      this.#emit(encodeMessage("D", Buffer.from([0, 1]), int32(value.length), value));
      this.#complete("SELECT 1");
    } else if (sql === "begin") {
      this.#status = "T";
      this.#complete("BEGIN");
    } else if (exitsTransaction(sql)) {
      const tag = this.#status === "E" ? "ROLLBACK" : sql.toUpperCase();
      this.#status = "I";
      this.#portals.clear();
      this.#complete(tag);
    } else if (sql === "discard all") {
      if (this.#status === "T") throw new SqlFailure("25001", "DISCARD ALL cannot run inside a transaction block");
      this.#statements.clear();
      this.#complete("DISCARD ALL");
    } else if (sql === "deallocate all") {
      this.#statements.clear();
      this.#complete("DEALLOCATE ALL");
    } else if (word === "deallocate") {
      if (!this.#statements.delete(name)) throw missing(name);
      this.#complete("DEALLOCATE");
    } else {
      throw new Error(`the model does not know ${JSON.stringify(sql)}`);
    }
  }

  #check(sql: string): void {
    if (sql === modelSql.syntaxError) throw new SqlFailure("42601", 'syntax error at or near "selec"');
    this.#refuseInFailedTransaction(sql);
  }

  #failTransaction(): void {
    this.#status = "E";
    for (const portal of this.#portals.values()) portal.failed = true;
  }

  #refuseInFailedTransaction(sql: string): void {
    if (this.#status !== "E" || exitsTransaction(sql)) return;
    throw new SqlFailure("25P02", "current transaction is aborted, commands ignored until end of transaction block");
  }

  #statement(name: string): string {
    const sql = name === "" ? this.#unnamed : this.#statements.get(name);
    if (sql === undefined) throw missing(name);
    return sql;
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name);
    if (!portal) throw new SqlFailure("34000", `portal "${name}" does not exist`);
    return portal;
  }

  #description(sql: string): void {
    if (isSelect(sql)) this.#rowDescription();
    else this.#emit(encodeMessage("n"));
  }

  #rowDescription(): void {
    this.#emit(encodeMessage("T", Buffer.alloc(2)));
  }

  #complete(tag: string): void {
    this.#emit(encodeMessage("C", tag));
  }

  #endOfTransaction(): void {
    if (this.#status === "I") this.#portals.clear();
  }

  #ready(): void {
    this.#emit(encodeMessage("Z", Buffer.from(this.#status)));
  }
}

function missing(name: string): SqlFailure {
  if (name === "") return new SqlFailure("26000", "unnamed prepared statement does not exist");
  return new SqlFailure("26000", `prepared statement "${name}" does not exist`);
}
