/**
 * One client: transactions and lone steps, one after the other, on sessions that come and go.
 *
 * Owns: what becomes of an error, and what is known of a transaction afterwards: committed, not there, or unknown. Does not
 * own: the steps, or who disturbs it (`disturber.ts`).
 * Invariant: an error that nobody provoked is a failure. A paused client has no transaction open and holds no lock.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../src/trace/storm/random.ts";
import type { Ledger, SentTransaction } from "../kill-nine/ledger.ts";
import type { Counts } from "./counts.ts";
import { anyLoneStep } from "./lone-steps.ts";
import { PgSession } from "./pg-session.ts";
import { PostgresJsSession } from "./postgres-js-session.ts";
import { type Copy, type Rows, type Session, sqlState } from "./session.ts";
import { alwaysExpected, ddlRaces, isCatalogueRace } from "./statements.ts";
import { anyStep, type Step, type StepContext } from "./steps.ts";

/** What all clients of a run share. */
export interface Run {
  readonly counts: Counts;
  /** Rows of the table `log`. */
  readonly log: Ledger;
  /** What the listener has to hear. */
  readonly heard: Ledger;
  /** The next number of each client's transactions. */
  readonly numbers: number[];
}

/** The channel of the listener; the payload is `client/number`. */
export const eventChannel = "events";

/** A statement that the server may end because somebody asked for it. */
interface Disturbed {
  /** Cancels that were asked for and not seen yet. */
  cancels: number;
  /** The connection may be gone: its socket was destroyed, or its backend was told to terminate. */
  mayBeLost: boolean;
}

/** What a session that nobody used before has. */
const freshState = `select current_user, session_user, current_setting('work_mem'), coalesce(current_setting('stress.mark', true), ''),
  current_setting('statement_timeout'), current_setting('lock_timeout'), to_regclass('mine') is null,
  (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors),
  (select count(*) from pg_listening_channels()), (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())`;
const fresh = "postgres|postgres|4MB||0|0|true|0|0|0|0";

/** How often the deadlock check looks, in milliseconds: shorter than PostgreSQL's second, for more transactions. */
const deadlockTimeoutMs = 40;

/** See the head of the file. */
export class Worker {
  readonly number: number;
  session: Session | undefined;
  disturbed: Disturbed = { cancels: 0, mayBeLost: false };
  /** When the statement began that runs now. */
  runningSince: number | undefined;
  /** What it is doing, for a report. */
  doing = "nothing";
  /** The server is being ended: whatever is lost now was to be expected. */
  serverEnds = false;
  readonly #port: number;
  readonly #random: Random;
  readonly #run: Run;
  #wanted: "run" | "pause" | "stop" = "run";
  #paused: (() => void) | undefined;
  #resume: (() => void) | undefined;

  constructor(number: number, port: number, random: Random, run: Run) {
    this.number = number;
    this.#port = port;
    this.#random = random;
    this.#run = run;
  }

  /** Works until it is stopped; never rejects. */
  async work(): Promise<void> {
    while (this.#wanted !== "stop") {
      if (this.#wanted === "pause") await this.#rest();
      else await this.#turn();
    }
    await this.#leave();
    this.#paused?.();
  }

  /** Resolves when nothing of it runs; its session stays. */
  pause(): Promise<void> {
    this.#wanted = "pause";
    return new Promise((resolve) => {
      this.#paused = resolve;
    });
  }

  resume(): void {
    if (this.#wanted === "pause") this.#wanted = "run";
    this.#resume?.();
  }

  /** Takes leave of a session whose connection was, or is being, ended from outside. For a paused client. */
  forgetLost(): void {
    if (!this.session || !this.disturbed.mayBeLost) return;
    this.session.hangUp();
    this.session = undefined;
  }

  /** `work` ends after the transaction that runs. */
  stop(): void {
    this.#wanted = "stop";
    this.#resume?.();
  }

  async #rest(): Promise<void> {
    this.#paused?.();
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
  }

  async #turn(): Promise<void> {
    if (!this.session && !(await this.#connect())) return;
    const random = this.#random;
    if (random.oneIn(6)) await this.#loneStep();
    else await this.#transaction();
    if (random.oneIn(60)) await this.#leave();
    if (random.oneIn(10)) await sleep(random.below(10));
  }

  async #connect(): Promise<boolean> {
    this.disturbed = { cancels: 0, mayBeLost: false };
    this.doing = "connect";
    this.runningSince = performance.now();
    try {
      const open = (this.number + this.#random.below(5)) % 3 === 0 ? PostgresJsSession : PgSession;
      const session = await open.open(this.#port);
      this.#run.counts.sessions++;
      const { rows } = await session.query(freshState);
      if (rows[0] !== fresh) this.#fail(`a new session has ${rows[0]} and not ${fresh}`);
      await session.query(`set deadlock_timeout = ${deadlockTimeoutMs}`);
      this.session = session;
      return true;
    } catch (error) {
      if (!this.serverEnds) this.#fail(describe(error));
      await sleep(100);
      return false;
    } finally {
      this.runningSince = undefined;
    }
  }

  async #leave(): Promise<void> {
    const { session } = this;
    this.session = undefined;
    this.doing = "close";
    await session?.close().catch((error) => {
      if (!this.disturbed.mayBeLost && !this.serverEnds) this.#fail(describe(error));
    });
  }

  async #loneStep(): Promise<void> {
    const step = anyLoneStep(this.#random);
    const error = await this.#step(step, `${this.number}/-`);
    // What a step sets up it takes down at its end, and it did not get there.
    if (error) await this.#leave();
  }

  async #transaction(): Promise<void> {
    const { counts, log, heard, numbers } = this.#run;
    const random = this.#random;
    const number = (numbers[this.number] ?? 0) + 1;
    numbers[this.number] = number;
    const name = `${this.number}/${number}`;
    const level = random.pick(["read committed", "read committed", "repeatable read", "serializable"]);
    if (await this.#step(plain("begin", `begin isolation level ${level}`), name)) return this.#rollback();
    for (let steps = 1 + random.below(4); steps > 0; steps--) {
      if (await this.#step(anyStep(random), name)) return this.#rollback();
    }
    const row = log.send(this.number, number, 1);
    const event = random.oneIn(3) ? heard.send(this.number, number, 1) : undefined;
    const withdraw = () => {
      log.withdraw(row);
      if (event) heard.withdraw(event);
    };
    const write = `insert into log (client, number) values (${this.number}, ${number})`;
    const notify = event ? `; notify ${eventChannel}, '${name}'` : "";
    const lost = await this.#step(plain("log", write + notify), name);
    if (lost || random.oneIn(12)) {
      withdraw();
      return this.#rollback();
    }
    let command = "";
    const error = await this.#step(
      plain("commit", "commit", (rows) => {
        command = rows.command;
      }),
      name,
    );
    if (error && sqlState(error) === undefined) counts.unknown++;
    else if (error) withdraw();
    else this.#committed([row, ...(event ? [event] : [])], command);
    if (error) await this.#rollback();
  }

  #committed(sent: readonly SentTransaction[], command: string): void {
    if (command !== "COMMIT") this.#fail(`COMMIT was answered with ${command}`);
    for (const each of sent) each.answered = true;
    this.#run.counts.commits++;
  }

  async #rollback(): Promise<void> {
    if (!this.session) return;
    this.#run.counts.rollbacks++;
    let error: unknown;
    // A cancel may end the ROLLBACK before it has done anything, as in PostgreSQL.
    do error = await this.#step(plain("rollback", "rollback"), "rollback");
    while (this.session && error && sqlState(error) === "57014");
  }

  /** Runs a step; what it ended with, if with an error. */
  async #step(step: Step | CommandStep, name: string): Promise<unknown> {
    const { session } = this;
    if (!session) return new Error("no session");
    this.#run.counts.did(step.kind);
    this.doing = `${step.kind} of ${name}`;
    const context: StepContext = {
      pid: session.pid,
      copy: this.#copy(session),
      random: this.#random,
      name,
      run: async (sql) => (await this.#send(sql, () => session.query(sql))).rows,
      execute: async (sql, values) => (await this.#send(sql, () => session.execute(sql, values))).rows,
      wrong: (text) => this.#fail(text),
    };
    try {
      if ("sql" in step) step.onAnswer(await this.#send(step.sql, () => session.query(step.sql)));
      else await step.run(context);
      return undefined;
    } catch (error) {
      this.#judge(error, step.provokes);
      return error;
    }
  }

  #copy({ copy }: Session): Copy | undefined {
    return (
      copy && {
        in: (sql, data) => this.#send(sql, () => copy.in(sql, data)),
        out: (sql) => this.#send(sql, () => copy.out(sql)),
      }
    );
  }

  async #send<T>(sql: string, send: () => Promise<T>): Promise<T> {
    this.#run.counts.statements++;
    this.runningSince = performance.now();
    try {
      return await send();
    } catch (error) {
      if (sqlState(error) !== undefined) Object.assign(error as object, { statement: sql });
      throw error;
    } finally {
      this.runningSince = undefined;
    }
  }

  #judge(error: unknown, provokes: readonly string[]): void {
    const state = sqlState(error);
    const isLost = state === undefined || state === "57P01";
    if (isLost ? this.disturbed.mayBeLost || this.serverEnds : this.#wasProvoked(state, error, provokes)) {
      this.#run.counts.expected(state ?? "lost");
    } else this.#fail(describe(error));
    if (!isLost) return;
    this.session?.hangUp();
    this.session = undefined;
  }

  #wasProvoked(state: string, error: unknown, provokes: readonly string[]): boolean {
    if (provokes.includes(state) || alwaysExpected.includes(state)) return true;
    if (isCatalogueRace(state, (error as Error).message)) return provokes.some((each) => ddlRaces.includes(each));
    if (state !== "57014" || this.disturbed.cancels === 0) return false;
    this.disturbed.cancels--;
    return true;
  }

  #fail(text: string): void {
    const driver = this.session?.driver ?? "no session";
    this.#run.counts.fail(`client ${this.number} (${driver}, pid ${this.session?.pid}), ${this.doing}: ${text}`);
  }
}

/** A single command whose tag is of interest. */
interface CommandStep {
  readonly kind: string;
  readonly provokes: readonly string[];
  readonly sql: string;
  onAnswer(rows: Rows): void;
}

function plain(kind: string, sql: string, onAnswer: (rows: Rows) => void = () => {}): CommandStep {
  return { kind, sql, provokes: [], onAnswer };
}

function describe(error: unknown): string {
  const { message, detail, where, statement } = error as Error & Record<string, string | undefined>;
  const parts = [detail && `(${detail})`, where && `where: ${where}`, statement && `in: ${statement}`];
  return [sqlState(error) ?? (error as Error & { code?: string }).code ?? "error", message, ...parts]
    .filter(Boolean)
    .join(" ");
}
