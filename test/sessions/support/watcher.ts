/**
 * A connection beside the sessions of a script, which asks the server about them.
 *
 * Owns: set-up, who waits for whom, whether a session is gone. Does not own: the sessions.
 * Invariant: every question has a bound; a server that does not answer it is a failure of the script.
 */
import { wipeDatabase } from "../../../scripts/conformance/wipe.ts";
import { waitUntil, within } from "../../support/wait-until.ts";
import { type Address, type BackendMessage, errorFields, rows, WireClient } from "../../support/wire-client.ts";

const answerMs = 120_000;

/** The watching connection. */
export class Watcher {
  readonly #client: WireClient;

  private constructor(client: WireClient) {
    this.#client = client;
  }

  /** Connects as the superuser and empties the database. */
  static async open(address: Address): Promise<Watcher> {
    const watcher = new Watcher(await WireClient.login(address, { application_name: "watcher" }));
    await wipeDatabase(async (sql) => (await watcher.query(sql)).map((row) => row[0] ?? null));
    return watcher;
  }

  /** Runs a query and returns its rows. Rejects with the error that the server gave. */
  async query(sql: string): Promise<(string | null)[][]> {
    const answer: BackendMessage[] | undefined = await within(answerMs, this.#client.query(sql));
    if (!answer) throw new Error(`no answer to the watching connection within ${answerMs} ms: ${sql}`);
    const error = errorFields(answer);
    if (error) throw new Error(`${error.get("C")} ${error.get("M")}: ${sql}`);
    return rows(answer);
  }

  /** For each of these processes that waits for others: their names, sorted. */
  async waits(pids: readonly number[], names: ReadonlyMap<number, string>): Promise<Map<number, string[]>> {
    const found = await this.query(
      `select pid, array_to_string(pg_blocking_pids(pid) || pg_safe_snapshot_blocking_pids(pid), ' ') from unnest(array[${pids.join(",")}]) pid`,
    );
    const entries = found.flatMap(([pid, blockers]): [number, string[]][] => {
      if (!blockers) return [];
      const unique = new Set(blockers.split(" ").map((blocker) => names.get(Number(blocker)) ?? "a stranger"));
      return [[Number(pid), [...unique].sort()]];
    });
    return new Map(entries);
  }

  /** Resolves when this process runs a statement: until then a cancel would find it idle. */
  async busy(pid: number): Promise<void> {
    await waitUntil(`the session ${pid} runs a statement`, async () => {
      const [[state] = []] = await this.query(`select state from pg_stat_activity where pid = ${pid}`);
      return state === "active";
    });
  }

  /** Resolves when the server no longer has these processes. */
  async gone(pids: readonly number[]): Promise<void> {
    if (pids.length === 0) return;
    await waitUntil(`the sessions ${pids.join(", ")} are gone`, async () => {
      const [[count] = []] = await this.query(`select count(*) from pg_stat_activity where pid in (${pids.join(",")})`);
      return count === "0";
    });
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    await this.#client.end();
  }
}
