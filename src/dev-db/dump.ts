/**
 * A dump of a database as SQL, by PostgreSQL's own pg_dump.
 *
 * Owns: pg_dump's thread, and the connection that it talks through. Does not own: what is in the dump, which is pg_dump's matter.
 * Invariant: neither the thread nor the connection outlives the call.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { executeSql } from "../engine/execute-sql.ts";
import { ExitCode } from "../errors.ts";
import type { Log, Progress } from "../options.ts";
import { encodeMessage } from "../wire/frontend.ts";
import type { DumpThreadData, FromPgDump, LoginAnswer } from "./dump-thread.ts";
import { ServerClient } from "./server-client.ts";

/** Rows for one INSERT: fewer statements are read sooner. */
const rowsPerInsert = 500;
/** AuthenticationOk, the version that pg_dump compares with its own, ReadyForQuery. */
const loggedIn = (version: string) =>
  Buffer.concat([
    encodeMessage("R", Buffer.alloc(4)),
    encodeMessage("S", "server_version", version),
    encodeMessage("S", "client_encoding", "UTF8"),
    encodeMessage("S", "standard_conforming_strings", "on"),
    encodeMessage("Z", Buffer.from("I")),
  ]);

/** What pg_dump has ended with, in its own words. */
class PgDumpError extends Error {
  override readonly name = "PgDumpError";
  readonly exitCode = ExitCode.failure;
  constructor(exitCode: number, said: readonly string[]) {
    const [first = `ended with exit code ${exitCode}`, ...more] = said.map(withoutName);
    super([`pg_dump: ${first}`, ...more].join("\n  "));
  }
}

/** Each line of pg_dump begins with its name, except in a sentence of several lines. */
function withoutName(line: string): string {
  return line.replace(/^(?:\/?pg_dump: )+/, "");
}

/** The options of a dump, besides the database. */
interface DumpOptions {
  /** For pg_dump. */
  readonly arguments: readonly string[];
  /** Takes a piece of the dump; the next one comes when it has resolved. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly log: Log;
  /** Receives the amount of data read so far. */
  readonly progress: Progress;
}

/** Writes the SQL. Rejects with what pg_dump says, the server's error, or what `write` rejects with. */
export async function dumpDatabase(url: string, options: DumpOptions): Promise<void> {
  const client = await ServerClient.connect(url);
  const { port1: ours, port2: port } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const own = [`--rows-per-insert=${rowsPerInsert}`, "--no-toast-compression"];
  const workerData: DumpThreadData = { arguments: [...own, ...options.arguments], port, answered };
  const thread = new Worker(new URL("dump-thread.js", import.meta.url), {
    workerData,
    transferList: [port],
    stdin: true,
  });
  const files = new TableFiles(client);
  const answer = answerer(client, files, options);
  try {
    await new Promise<void>((resolve, reject) => {
      let hasSaidEnd = false;
      const take = async (message: FromPgDump) => {
        if (message.kind === "end") {
          hasSaidEnd = true;
          return end(message, options.log, files);
        }
        ours.postMessage(await answer(message));
        Atomics.store(answered, 0, 1);
        Atomics.notify(answered, 0);
        return false;
      };
      const hear = (message: FromPgDump) => void take(message).then((isEnd) => isEnd && resolve(), reject);
      ours.on("message", hear);
      thread.once("error", reject);
      thread.once("exit", (code) => {
        // The end may be known before the last words are read.
        for (let last = receiveMessageOnPort(ours); last; last = receiveMessageOnPort(ours)) hear(last.message);
        setImmediate(() => hasSaidEnd || reject(new Error(`pg_dump's thread ended with ${code}`)));
      });
    });
  } finally {
    client.close();
    ours.close();
    await thread.terminate();
  }
}

/** Throws a `PgDumpError` if pg_dump failed; otherwise logs its messages as warnings. */
async function end({ exitCode, said }: FromPgDump & { kind: "end" }, log: Log, files: TableFiles): Promise<true> {
  if (exitCode !== 0) throw new PgDumpError(exitCode, said);
  await files.requireSame();
  if (said.length > 0) log("info", `pg_dump: ${said.map(withoutName).join("\n")}`);
  return true;
}

/** Returns what answers pg_dump. */
function answerer(client: ServerClient, files: TableFiles, { write, progress }: DumpOptions) {
  let read = 0;
  return async (message: Exclude<FromPgDump, { kind: "end" }>): Promise<LoginAnswer | Uint8Array | undefined> => {
    if (message.kind === "login") return logIn(client, files);
    if (message.kind === "write") return void (await write(message.bytes));
    const bytes = await exchange(client, message.batch);
    read += bytes.length;
    progress(`pg_dump has read ${(read / 1e6).toFixed(1)} MB`);
    return bytes;
  };
}

async function exchange(client: ServerClient, batch: Uint8Array): Promise<Uint8Array> {
  const answer: Uint8Array[] = [];
  await client.execProtocolRawStream(batch, { onRawData: (bytes) => void answer.push(bytes) });
  return Buffer.concat(answer);
}

/** Whether tables and indexes are more than a quarter of the locks that all transactions may have together: others need some as well. */
const locksAreFew = `(SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'f', 'i', 'S', 'v', 'm')
  AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)) * 4
  > current_setting('max_locks_per_transaction')::bigint * current_setting('max_connections')::bigint`;

async function logIn(client: ServerClient, files: TableFiles): Promise<LoginAnswer> {
  const [result] = await executeSql(client, `SELECT current_setting('server_version'), ${locksAreFew}`);
  const [version, areFew] = result!.rows[0]!;
  const locksLittle = areFew === "t";
  if (locksLittle) await files.note();
  return { bytes: loggedIn(version!), locksLittle };
}

/** The file of each table; `pg_relation_filenode` knows the present one in an older snapshot, too. */
const fileQuery = `SELECT c.oid, pg_catalog.pg_relation_filenode(c.oid), c.oid::pg_catalog.regclass
  FROM pg_catalog.pg_class AS c WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;

/**
 * Which tables got a new file while they were dumped. A dump that does not lock all tables at its beginning reads a table that was truncated
 * or rewritten meanwhile as an empty one: TRUNCATE and forms of ALTER TABLE are not MVCC-safe (manual, "Caveats" of concurrency control).
 */
class TableFiles {
  readonly #client: ServerClient;
  #before: ReadonlyMap<string, string | null> | undefined;

  constructor(client: ServerClient) {
    this.#client = client;
  }

  /** Notes the files, before the dump begins. */
  async note(): Promise<void> {
    this.#before = new Map((await this.#rows()).map(([oid, file]) => [oid!, file!]));
  }

  /** Throws if a table has another file than it had, or is gone. */
  async requireSame(): Promise<void> {
    if (!this.#before) return;
    await executeSql(this.#client, "ROLLBACK");
    const rows = await this.#rows();
    const changed = rows.find(([oid, file]) => this.#before!.has(oid!) && this.#before!.get(oid!) !== file);
    const there = new Set(rows.map(([oid]) => oid));
    const isGone = [...this.#before.keys()].some((oid) => !there.has(oid));
    if (!changed && !isGone) return;
    const what = changed ? `table ${changed[2]} was truncated or rewritten` : "a table was dropped";
    throw Object.assign(
      new Error(
        `dump: ${what} while the database was dumped, and the dump may lack its rows: there are too many tables to lock all of them. Dump again while nobody changes tables`,
      ),
      { exitCode: ExitCode.failure },
    );
  }

  async #rows() {
    const [result] = await executeSql(this.#client, fileQuery);
    return result!.rows;
  }
}
