/**
 * The server that the specifications run against.
 *
 * Owns: starting it or finding it, the database of the run, and putting it in order after a permutation that could not
 * be run to its end. Does not own: how each kind is launched (`launch.ts`), running anything.
 * Invariant: after `recover` the server answers, and nothing of an earlier permutation is in the database.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { ServerProcess } from "../bench/server-process.ts";
import { BackendLink } from "./backend-link.ts";
import type { Place } from "./connections.ts";
import { type Address, launch, type TargetName } from "./launch.ts";
import { TimeLimit } from "./time-limit.ts";
import { wipeDatabase } from "./wipe.ts";

/** The database that the suite's own runner makes; one specification names it. */
const suiteDatabase = "isolation_regression";
const answerMs = 15_000;
const returnMs = 120_000;
const reapMs = 300;

/** What `recover` found. */
type Recovery = "it went on" | "it did not answer" | "it had died";

/** A server, with its figures. */
export class ServerUnderTest {
  readonly #target: TargetName | Address;
  readonly #log: (line: string) => void;
  #process: ServerProcess | undefined;
  #place: Place | undefined;
  #hasDied = false;
  #stop: () => Promise<void> = async () => {};
  /** How often it ended on its own, and how often it could no longer be used. */
  readonly breakdowns = { died: 0, unusable: 0 };

  constructor(target: TargetName | Address, log: (line: string) => void) {
    this.#target = target;
    this.#log = log;
  }

  /** Where the specifications run. */
  get place(): Place {
    if (!this.#place) throw new Error("the server has not been started");
    return this.#place;
  }

  /** Starts it, or connects to it, and prepares the database. Returns what the server says it is. */
  async start(): Promise<string> {
    let address: Address;
    if (typeof this.#target === "string") {
      const launched = await launch(this.#target);
      this.#process = launched.process;
      this.#stop = launched.stop;
      this.#hasDied = false;
      void launched.process.exited.then(() => {
        this.#hasDied = launched.process === this.#process;
      });
      address = launched.address;
    } else address = this.#target;
    this.#place = { ...address, database: await this.#prepareDatabase(address) };
    return await ask(this.#place, "select version()");
  }

  /** Puts the server in order after a failed permutation; a new one is started if it is ours and does not answer. */
  async recover(): Promise<Recovery> {
    if (!this.#hasDied && (await this.#wipe())) return "it went on";
    const diedBefore = this.breakdowns.died;
    await this.replace();
    return this.breakdowns.died > diedBefore ? "it had died" : "it did not answer";
  }

  /** Starts a new server in place of this one; where that cannot be done, waits until this one answers again. */
  async replace(): Promise<void> {
    // The connections of a process that has just died end before it has been reaped.
    if (this.#process) await Promise.race([this.#process.exited, delay(reapMs)]);
    const trouble = this.#hasDied ? "died" : "cannot be used any more";
    this.breakdowns[this.#hasDied ? "died" : "unusable"]++;
    if (this.#process) {
      this.#log(`the server ${trouble}: starting a new one`);
      await this.stop();
      await this.start();
      return;
    }
    this.#log(`the server ${trouble}: waiting for it`);
    for (const end = Date.now() + returnMs; Date.now() < end; ) if (await this.#wipe()) return;
    throw new Error(`the server has not answered for ${returnMs / 1000} s`);
  }

  /** Ends what was started here. */
  async stop(): Promise<void> {
    this.#process = undefined;
    await this.#stop();
    this.#stop = async () => {};
  }

  async #prepareDatabase(address: Address): Promise<string> {
    const inSuiteDatabase = { ...address, database: suiteDatabase };
    try {
      await ask(address, `drop database if exists ${suiteDatabase}`);
      await ask(address, `create database ${suiteDatabase} template template0 locale 'C'`);
      for (const setting of ["lc_messages", "lc_monetary", "lc_numeric", "lc_time"]) {
        await ask(address, `alter database ${suiteDatabase} set ${setting} to 'C'`);
      }
      const connected = await ask(inSuiteDatabase, "select current_database()");
      if (connected === suiteDatabase) return suiteDatabase;
      this.#log(`asked for the database ${suiteDatabase}, the server connected to ${connected}: running there`);
    } catch (error) {
      this.#log(`no database ${suiteDatabase} (${(error as Error).message}): running in ${address.database}`);
    }
    await this.#wipe(address);
    return address.database;
  }

  async #wipe(place = this.place): Promise<boolean> {
    try {
      await inConnection(place, wipeDatabase);
      return true;
    } catch {
      return false;
    }
  }
}

/** Runs one query in a connection of its own and returns the first value. */
async function ask(place: Place, sql: string): Promise<string> {
  let value = "";
  await inConnection(place, async (run) => {
    value = (await run(sql))[0] ?? "";
  });
  return value;
}

async function inConnection(
  place: Place,
  work: (run: (sql: string) => Promise<readonly (string | null)[]>) => Promise<void>,
): Promise<void> {
  const { user, database } = place;
  const limit = new TimeLimit(answerMs);
  const link = await BackendLink.open({ ...place, parameters: { user, database }, onNotice: () => {}, limit });
  try {
    await work(async (sql) => {
      const result = await link.query(sql);
      if (result.kind === "error") throw new Error(result.text.trim());
      return result.kind === "rows" ? result.rows.map((row) => row[0] ?? null) : [];
    });
  } finally {
    link.close("politely");
  }
}
