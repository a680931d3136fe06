/**
 * A session for each client, as they are served.
 *
 * Owns: what watches over turns and over idle holders of locks; the session of the process itself; what keeps autovacuum away. Does not own: sessions
 * (`sessions/`), one client (`transport/`).
 */
import type { ClockChange, ClockState } from "../engine/clock.ts";
import type { OwnLogin } from "../engine/engine.ts";
import { GitDatabases } from "../engine/git-branch.ts";
import type { ListenOptions } from "../engine/listener.ts";
import type { ServedStates } from "../engine/states.ts";
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { CodeKeeper } from "../sessions/module/code-keeper.ts";
import { hasFilesLeft } from "../sessions/open-files.ts";
import { ownLogin, ownParameters } from "../sessions/own-parameters.ts";
import type { SnapshotKeeper } from "../sessions/snapshot/snapshot-keeper.ts";
import type { Recorder } from "../trace/record/recorder.ts";
import type { RunOwnFunction } from "../transport/calls/own-calls.ts";
import { sendHeldAnswers } from "../transport/held-answers.ts";
import { type BeforeLogin, IsolatedQueue } from "../transport/isolated-queue.ts";
import type { Behind } from "../transport/serve.ts";
import { Autovacuum, ownNumber } from "./autovacuum.ts";
import { BranchExpiry } from "./branch-expiry.ts";
import { BranchResets } from "./branch-resets.ts";
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
  readonly #autovacuum: Autovacuum;
  readonly #clock: ServerClock;
  readonly #functions: RunOwnFunction;
  readonly #host: SessionHost;
  readonly #makesBranches: boolean;
  readonly #gitDatabases: GitDatabases | undefined;
  readonly #keepers: Keepers;
  readonly #expiry: BranchExpiry | undefined;
  readonly #queues: IsolatedQueue[] = [];
  /** Whether the last client that came was let in, as far as open files go. */
  #hasFiles = true;
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
    // In discrete time, and while somebody explores, what happens when is decided by others.
    const mayVacuum = () => host.scheduler.mayJump === undefined && !this.#queues.some(({ isExplored }) => isExplored);
    this.#autovacuum = new Autovacuum(host, mayVacuum);
    // With a seed nothing happens of which nobody knows when.
    this.branches = new DatabaseBranches(host, (work) => this.#autovacuum.pausedFor(work), {
      prepares: isolated.seedRandom === undefined,
    });
    const alone = async <T>(work: () => Promise<T>): Promise<T> => {
      await this.endOwn();
      this.#autovacuum.forget();
      return work();
    };
    const withoutOwn = <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> =>
      this.branches.pause(() => this.#autovacuum.pausedFor(() => alone(work)), signal);
    this.states = host.marks.isPossible
      ? new ServerStates(host, this.#queues, this.branches, withoutOwn)
      : new DirectoryStates(host, this.#queues, this.branches, withoutOwn);
    this.#clock = new ServerClock(host, this.#queues, withoutOwn);
    const branchResets = new BranchResets(host, this.#queues, this.branches, withoutOwn);
    const [clock, branches, states] = [this.#clock, this.branches, this.states];
    this.#functions = serverFunctions({ clock, branches, branchResets, states });
    if (isolated.branchTtlMs > 0) this.#expiry = new BranchExpiry(this.branches, isolated.branchTtlMs);
    this.#makesBranches = isolated.makesBranches;
    this.#gitDatabases = isolated.perGitBranch && new GitDatabases(isolated.perGitBranch);
    if (isolated.seedRandom !== undefined) host.machine.random.useSeed(isolated.seedRandom, host.machine.bundled.files);
    this.#keepers = keepers;
    const watches = [
      watchTurns(host, options, watch),
      watchHolders(host, isolated, (holding) => {
        for (const queue of this.#queues) queue.held(holding);
      }),
      // What is drawn with a seed, and what it is done to, is the same from start to start: a VACUUM comes when there is time.
      isolated.seedRandom === undefined ? this.#autovacuum.onTurn : undefined,
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
    this.#own ??= this.#begin(this.#login);
    return this.#own.run(messages);
  }

  async logIn(login: OwnLogin): Promise<void> {
    await this.endOwn();
    this.#login = { ...login, database: await this.databaseFor(login.database, login.user) };
    this.#own = this.#begin(this.#login);
    await this.#own.begun.catch(({ message }: Error) => {
      throw new Error(`PostgreSQL refused a session: ${message}`);
    });
  }

  /** For migrations, seeds and questions about the server. */
  #begin({ user, database, isSuperuser }: OwnLogin): OwnSession {
    // Only a superuser can do without event triggers.
    const parameters = { ...(isSuperuser ? ownParameters : {}), user, database };
    const session = new OwnSession(this.#host, parameters, ownNumber);
    // A migration's DDL has the event triggers that it would have from any client.
    if (isSuperuser) session.ask("set event_triggers = on").catch(() => undefined);
    return session;
  }

  async endOwn(): Promise<void> {
    await this.#own?.close();
    this.#own = undefined;
  }

  behind({ maxConnections }: ListenOptions, recorder?: Recorder): Behind {
    const beforeLogin = (...asked: Parameters<BeforeLogin>) => this.#beforeLogin(...asked);
    const hasRoom = () => this.#hasRoom();
    const queue = new IsolatedQueue(this.#host, beforeLogin, this.#functions, maxConnections, hasRoom);
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

  #hasRoom(): boolean {
    const hadFiles = this.#hasFiles;
    this.#hasFiles = hasFilesLeft();
    if (hadFiles && !this.#hasFiles)
      this.#host.log.onReport("error", "could not accept a client: too many open files; raise the limit (ulimit -n)");
    return this.#hasFiles;
  }

  async databaseFor(database: string, user = "postgres"): Promise<string> {
    let own = this.#gitDatabases?.for(database);
    if (own?.isHeirs && !(await this.branches.isThere(own.database))) {
      this.#gitDatabases?.inherit();
      own = this.#gitDatabases?.for(database);
    }
    if (own) await this.branches.ensure(own.database, { user, makes: false, description: own.description });
    return own?.database ?? database;
  }

  async #beforeLogin(asked: string, user: string, isAsked: boolean): Promise<string> {
    const database = await this.databaseFor(asked, user);
    this.#expiry?.used(database);
    // With the option anybody who may log in has one; without it whoever may make databases.
    if (this.#makesBranches || isAsked) await this.branches.ensure(database, { user, makes: !this.#makesBranches });
    return database;
  }

  async close(): Promise<void> {
    // It reads files that PostgreSQL closes.
    this.#keepers.snapshot?.keepAtStop();
    this.#expiry?.close();
    await this.#autovacuum.close();
    await this.branches.end();
    await this.#host.close();
    this.#keepers.code?.keepAtStop();
  }
}
