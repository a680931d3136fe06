/**
 * A session for each client, as they are served.
 *
 * Owns: what watches over turns and over idle holders of locks; the session of the process itself. Does not own: sessions
 * (`engine/thread/sessions/`), one client (`transport/`).
 */
import type { ClockChange, ClockState } from "../engine/clock.ts";
import type { OwnLogin } from "../engine/engine.ts";
import type { ListenOptions } from "../engine/listener.ts";
import type { ServedStates } from "../engine/states.ts";
import type { CodeKeeper } from "../engine/thread/code-keeper.ts";
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import { ownLogin } from "../engine/thread/sessions/own-parameters.ts";
import type { SnapshotKeeper } from "../engine/thread/snapshot-keeper.ts";
import type { Recorder } from "../trace/record/recorder.ts";
import type { RunOwnFunction } from "../transport/calls/own-calls.ts";
import { sendHeldAnswers } from "../transport/held-answers.ts";
import { IsolatedQueue } from "../transport/isolated-queue.ts";
import type { Behind } from "../transport/serve.ts";
import { expireBranches } from "./branch-expiry.ts";
import { DatabaseBranches } from "./database-branches.ts";
import { DirectoryStates } from "./directory-states.ts";
import { watchHolders } from "./holder-watch.ts";
import { OwnSession } from "./own-session.ts";
import { decisionsOf } from "./recorded-decisions.ts";
import type { Served } from "./served.ts";
import { ServerClock } from "./server-clock.ts";
import { serverFunctions } from "./server-functions.ts";
import { ServerStates } from "./server-states.ts";
import { type Watch, watchTurns } from "./turn-watch.ts";

/** What keep something of this PostgreSQL for the next start. */
interface Keepers {
  readonly code: CodeKeeper | undefined;
  readonly snapshot: SnapshotKeeper | undefined;
}

/** See the head of the file. */
export class OwnSessions implements Served {
  readonly branches: DatabaseBranches;
  readonly states: ServedStates;
  readonly #clock: ServerClock;
  readonly #functions: RunOwnFunction;
  readonly #host: SessionHost;
  readonly #makesBranches: boolean;
  readonly #keepers: Keepers;
  readonly #expiry: NodeJS.Timeout | undefined;
  readonly #queues: IsolatedQueue[] = [];
  #own: OwnSession | undefined;
  #login: OwnLogin = { ...ownLogin, isSuperuser: true };

  constructor(
    host: SessionHost,
    options: ThreadOptions,
    isolated: NonNullable<ThreadOptions["isolated"]>,
    keepers: Keepers,
    watch: Watch,
  ) {
    this.#host = host;
    this.branches = new DatabaseBranches(host);
    const withoutOwn = <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> =>
      this.branches.pause(async () => {
        await this.endOwn();
        return work();
      }, signal);
    this.states = host.marks.isPossible
      ? new ServerStates(host, this.#queues, withoutOwn)
      : new DirectoryStates(host, this.#queues, this.branches, withoutOwn);
    this.#clock = new ServerClock(host, this.#queues, withoutOwn);
    this.#functions = serverFunctions({ clock: this.#clock, branches: this.branches, states: this.states });
    if (isolated.branchTtlMs > 0) this.#expiry = expireBranches(this.branches, isolated.branchTtlMs);
    this.#makesBranches = isolated.makesBranches;
    if (isolated.seedRandom !== undefined) host.machine.random.useSeed(isolated.seedRandom, host.machine.bundled.files);
    this.#keepers = keepers;
    const watches = [
      watchTurns(host, options, watch),
      watchHolders(host, isolated, (holding) => {
        for (const queue of this.#queues) queue.held(holding);
      }),
    ];
    host.scheduler.onTurn = (session) => {
      for (const onTurn of watches) onTurn?.(session);
    };
    host.scheduler.onLongTurn = sendHeldAnswers;
  }

  get crash(): Promise<unknown> {
    return this.#host.crash;
  }

  crashed(error: unknown): void {
    void this.#host.crashed(error);
  }

  changeClock(change: ClockChange): Promise<ClockState> {
    return this.#clock.change(change);
  }

  run(messages: Uint8Array): Promise<Uint8Array> {
    this.#own ??= new OwnSession(this.#host, this.#login);
    return this.#own.run(messages);
  }

  async logIn(login: OwnLogin): Promise<void> {
    await this.endOwn();
    this.#login = login;
    this.#own = new OwnSession(this.#host, login);
    await this.#own.begun;
  }

  async endOwn(): Promise<void> {
    await this.#own?.close();
    this.#own = undefined;
  }

  behind(_listener: number, _options: ListenOptions, recorder?: Recorder): Behind {
    const queue = new IsolatedQueue(this.#host, (...asked) => this.#beforeLogin(...asked), this.#functions);
    this.#queues.push(queue);
    const observer = recorder && decisionsOf(this.#host, recorder);
    if (observer) this.#host.scheduler.observer = observer;
    return {
      queue,
      activity: () => queue.activity(),
      crashed: (death) => queue.crashed(death),
      takeRuns: () => queue.recent.take(),
      closed: () => {
        this.#queues.splice(this.#queues.indexOf(queue), 1);
        if (this.#host.scheduler.observer === observer) this.#host.scheduler.observer = undefined;
      },
    };
  }

  async #beforeLogin(database: string, user: string, isAsked: boolean): Promise<void> {
    // With the option anybody who may log in has one; without it whoever may make databases.
    if (this.#makesBranches || isAsked) await this.branches.ensure(database, { user, makes: !this.#makesBranches });
  }

  async close(): Promise<void> {
    // It reads files that PostgreSQL closes.
    this.#keepers.snapshot?.keepAtStop();
    clearInterval(this.#expiry);
    await this.branches.close();
    await this.#host.close();
    this.#keepers.code?.keepAtStop();
  }
}
