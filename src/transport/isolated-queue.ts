/**
 * The queue for clients that have a PostgreSQL session each: nobody waits for anybody here.
 *
 * Owns: which session is whose, what a login is answered with, whom a CancelRequest means. Does not own: one client and its
 * session (`client-session.ts`), who runs next (`sessions/`), sockets (the library).
 * Invariant: it runs on the engine thread; a session ends with its connection.
 */
import { timingSafeEqual } from "node:crypto";
import type { Batch, SocketConnection, SocketQueue } from "@electric-sql/pglite-socket";
import { makesBranch } from "../engine/branches.ts";
import type { EngineDeath } from "../engine/engine.ts";
import type { ConnectionActivity } from "../engine/listener.ts";
import { RecentRuns } from "../engine/recent-runs.ts";
import { within } from "../engine/within.ts";
import { limits } from "../limits.ts";
import { ownParameters } from "../sessions/own-parameters.ts";
import type { Session } from "../sessions/session.ts";
import { reservedOf } from "../sessions/shown-connections.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { readQueryResults } from "../wire/query-results.ts";
import { settingsIn } from "../wire/startup-options.ts";
import { mentionsCalls, OwnCalls, type RunOwnFunction } from "./calls/own-calls.ts";
import { ClientSession } from "./client-session.ts";
import type { SessionsOf } from "./client-state.ts";
import type { GateHost } from "./gate/gate.ts";
import { Gates } from "./gate/gates.ts";
import type { Holding } from "./holding.ts";
import { readLogin } from "./login-answer.ts";
import { crashOf, onlySuperusers, tooManyFiles, undone } from "./session-errors.ts";

/** Startup parameters that PostgreSQL takes from anybody, and whose effect on the login answer is known here. */
const harmless: ReadonlySet<string> = new Set(["user", "database", "application_name", "client_encoding"]);
const isSuperuser = encodeQuery("SHOW is_superuser");
/** The number of the session that tells what a login answers; below those of clients. */
const probeNumber = 998;

/** Is told which database a client wants, as whom, and whether it asks for it as a branch; answers with the one that it gets. */
export type BeforeLogin = (database: string, user: string, isAsked: boolean) => Promise<string>;

/** As PostgreSQL has it. */
function databaseOf(parameters: ReadonlyMap<string, string>): string {
  return parameters.get("database") ?? parameters.get("user") ?? "postgres";
}

/** See the head of the file. */
export class IsolatedQueue implements SocketQueue {
  /** A client that stops holds up nobody but by its locks. */
  readonly isPatient = true;
  /** What clients sent last. */
  readonly recent = new RecentRuns();
  readonly #host: SessionsOf;
  readonly #beforeLogin: BeforeLogin;
  readonly #clients = new Map<SocketConnection, ClientSession>();
  readonly #gates: Gates;
  readonly #runOwn: RunOwnFunction | undefined;
  /** Of clients that have called functions of the server's own. */
  readonly #calls = new Map<SocketConnection, OwnCalls>();
  /** The sessions of connections that want to decide, while they log in. */
  readonly #logins = new Map<SocketConnection, ClientSession>();
  #parameters: ReadonlyMap<string, string> = new Map();
  #hasCrashed = false;
  /** Whether the process has what one more session needs. */
  readonly #hasRoom: () => boolean;
  /** How many clients there may be for one that is not a superuser to be let in. */
  readonly #openToAll: number;

  constructor(
    host: SessionsOf & GateHost,
    beforeLogin: BeforeLogin = (database) => Promise.resolve(database),
    runOwn?: RunOwnFunction,
    maxConnections = Number.POSITIVE_INFINITY,
    hasRoom: () => boolean = () => true,
  ) {
    this.#hasRoom = hasRoom;
    this.#openToAll = maxConnections - reservedOf(maxConnections);
    this.#runOwn = runOwn;
    this.#host = host;
    this.#beforeLogin = beforeLogin;
    this.#gates = new Gates(host, this.#clients);
  }

  get length(): number {
    return [...this.#clients.values()].filter((client) => client.activity().state === "waiting").length;
  }

  /** Whether somebody decides when clients go on. */
  get isExplored(): boolean {
    return this.#gates.areUsed;
  }

  /** Learns what PostgreSQL says at a login from one of its own. */
  async open(): Promise<void> {
    const answer: Uint8Array[] = [];
    const session = await this.#host.createSession(
      ownParameters,
      (bytes) => void answer.push(bytes.slice()),
      probeNumber,
    );
    const words = Buffer.concat(answer);
    if (!session) throw new Error(`PostgreSQL refused a session: ${words.toString("latin1")}`);
    this.#parameters = readLogin(words).parameters;
    await this.#host.closeSession(session);
  }

  /** Waits for PostgreSQL only where it has to decide: about another user or database, or settings. */
  async attach(connection: SocketConnection): Promise<ReadonlyMap<string, string>> {
    if (this.#gates.isControl(connection)) return this.#attachControl(connection);
    const client = new ClientSession(connection, this.#host);
    this.#clients.set(connection, client);
    const { parameters } = connection;
    if (!this.#hasRoom()) {
      connection.terminate(tooManyFiles);
      return this.#parameters;
    }
    if (!(await this.#prepare(connection))) return this.#parameters;
    const application = parameters.get("application_name") ?? "";
    const usual = new Map([...this.#parameters, ["application_name", application]]);
    const encoding = (parameters.get("client_encoding") ?? "UTF8").replaceAll(/['-]/g, "").toUpperCase();
    const isKnown = parameters.get("user") === "postgres" && parameters.get("database") === "postgres";
    const isUtf8 = ["UTF8", "UNICODE", "AUTO"].includes(encoding);
    const isEasy = isKnown && isUtf8 && [...parameters.keys()].every((name) => harmless.has(name));
    const statuses = isEasy ? usual : ((await client.login()) ?? usual);
    if (statuses.get("is_superuser") === "off" && this.#clients.size > this.#openToAll)
      connection.terminate(onlySuperusers);
    client.told = new Map(statuses);
    return statuses;
  }

  /** What decides about others logs in as everybody does, and only a superuser may. */
  async #attachControl(connection: SocketConnection): Promise<ReadonlyMap<string, string>> {
    const login = new ClientSession(connection, this.#host);
    this.#logins.set(connection, login);
    const statuses = await login.login();
    if (!statuses) return this.#parameters;
    const answer = await login.runAside(isSuperuser);
    await login.end();
    // It has gone meanwhile.
    if (!this.#logins.delete(connection) || !answer) return this.#parameters;
    if (readQueryResults(answer)[0]?.rows[0]?.[0] === "on") this.#gates.attach(connection);
    else
      connection.terminate({
        severity: "FATAL",
        code: "42501",
        message: "only a superuser may decide about the clients of a database",
      });
    return this.#parameters;
  }

  /** False for one that has been told why not. */
  async #prepare(connection: SocketConnection): Promise<boolean> {
    const { parameters } = connection;
    const database = parameters.get("database");
    const settings = settingsIn(parameters.get("options"));
    const isAsked = Object.entries(makesBranch).every(
      ([name, value]) => (parameters.get(name) ?? settings.get(name)) === value,
    );
    try {
      if (database === undefined) return true;
      const own = await this.#beforeLogin(database, parameters.get("user") ?? "", isAsked);
      // From here on it is a client of that one for everybody.
      if (own !== database) (parameters as Map<string, string>).set("database", own);
      return true;
    } catch (error) {
      const { message, code = "XX000" } = error as { readonly message: string; readonly code?: string };
      connection.terminate({
        severity: "FATAL",
        code,
        message: `database "${database}" could not be made: ${message}`,
      });
      return false;
    }
  }

  submit(connection: SocketConnection, batch: Batch): Promise<void> {
    const client = this.#clients.get(connection);
    if (client) this.recent.add(batch.bytes);
    if (this.#gates.areUsed) return this.#gates.submit(connection, client, batch);
    if (!client) return Promise.resolve();
    return this.#callsOf(connection, client, batch)?.submit(batch) ?? client.submit(batch);
  }

  /** Undefined while a client has not called such a function, and calls none. */
  #callsOf(connection: SocketConnection, client: ClientSession, batch: Batch): OwnCalls | undefined {
    const there = this.#calls.get(connection);
    if (there || !this.#runOwn || client.isMidway || !mentionsCalls(batch)) return there;
    const calls = new OwnCalls(connection, client, this.#runOwn);
    this.#calls.set(connection, calls);
    return calls;
  }

  isMidway(connection: SocketConnection): boolean {
    return this.#clients.get(connection)?.isMidway ?? false;
  }

  /** What every client does. */
  activity(): ConnectionActivity[] {
    return [...this.#clients.values()].map((client) => client.activity());
  }

  cancel(processId: number, secretKey: Uint8Array): void {
    for (const [connection, client] of this.#clients) {
      const { processId: id, secretKey: key } = connection;
      const isMeant = id === processId && key.length === secretKey.length && timingSafeEqual(key, secretKey);
      if (isMeant && !this.#calls.get(connection)?.cancel()) client.cancel();
    }
  }

  /**
   * Ends all sessions before their clients are told that the server stops: what runs is ended as PostgreSQL does on SIGTERM,
   * so that a COMMIT is answered or has not happened. What has not begun to run does not run.
   */
  async quiesce(): Promise<void> {
    if (this.#hasCrashed) return;
    this.#gates.open();
    const ends = [...this.#clients.values()].map((client) => client.end());
    await within(limits.quiesceMs, Promise.all(ends));
  }

  async detach(connection: SocketConnection): Promise<void> {
    if (this.#gates.areUsed) this.#gates.detach(connection);
    const client = this.#clients.get(connection) ?? this.#logins.get(connection);
    this.#clients.delete(connection);
    this.#logins.delete(connection);
    // What it waits for would be done for nobody.
    this.#calls.get(connection)?.cancel();
    this.#calls.delete(connection);
    await client?.leave();
  }

  async close(): Promise<void> {
    // One that does not end must not keep the caller: the engine's end is the end of it.
    const connections = [...this.#clients.keys(), ...this.#logins.keys()];
    await within(limits.sessionsEndMs, Promise.all(connections.map((connection) => this.detach(connection))));
  }

  /** Ends the client of a session that idles in a transaction while another one has waited too long for it. */
  held({ holder, waiter, waitedMs, idleMs }: Holding): void {
    const clients = [...this.#clients];
    const [connection, holding] = clients.find(([{ processId }]) => processId === holder) ?? [];
    const [, waiting] = clients.find(([{ processId }]) => processId === waiter) ?? [];
    // What it has sent since will end its transaction, or not; or nobody waits any more.
    if (!waiting || !holding?.isIdleInTransaction) return;
    // It may not go on.
    if (connection && this.#gates.isHeld(connection)) return;
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    holding.terminate({
      severity: "FATAL",
      code: "25P03",
      message: "terminating connection due to idle-in-transaction timeout",
      detail:
        `${holding.describe()} was idle in a transaction for ${seconds(idleMs)}, last statement: ${holding.statement}; ` +
        `${waiting.describe()} waited for one of its locks for ${seconds(waitedMs)} with: ${waiting.statement}.`,
      hint: "Commit or roll back before others need what the transaction has locked, or raise the transaction idle timeout.",
    });
  }

  get connected(): readonly ClientSession[] {
    return [...this.#clients.values()];
  }

  /** The clients that are at work, or in a transaction: their sessions cannot go without their noticing. */
  get atWork(): readonly ClientSession[] {
    return this.connected.filter((client) => !client.mayLetGo);
  }

  /** Those of them that are connected to a database. */
  atWorkIn(database: string): readonly ClientSession[] {
    const there = [...this.#clients].filter(([{ parameters }]) => databaseOf(parameters) === database);
    return there.map(([, client]) => client).filter((client) => !client.mayLetGo);
  }

  /** All sessions are going to be undone. In one step with that. */
  letGo(): void {
    for (const client of [...this.#clients.values()]) {
      if (client.mayLetGo) client.letGo();
      else client.undo(undone);
    }
  }

  /** The sessions of a database are going to end: those that idle are answered, for somebody to end them; `ended`: the others have. */
  letGoOf(database: string): { readonly idle: readonly Session[]; readonly ended: Promise<unknown> } {
    const idle: Session[] = [];
    const ends: Promise<void>[] = [];
    for (const [{ parameters }, client] of this.#clients) {
      if (databaseOf(parameters) !== database) continue;
      const { session, mayLetGo } = client;
      if (mayLetGo) client.letGo();
      else ends.push(client.end().then(() => client.terminate(undone)));
      if (mayLetGo && session) idle.push(session);
    }
    return { idle, ended: within(limits.quiesceMs, Promise.all(ends)) };
  }

  /** They have been undone: who may not wait for its next message has another one. */
  async comeBack(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.comeBack()));
  }

  /** PostgreSQL has crashed: no session is touched any more. Everybody is told so as soon as it is known what to say. */
  async crashed(death: Promise<EngineDeath>): Promise<void> {
    this.#hasCrashed = true;
    for (const client of this.#clients.values()) client.crashed();
    const error = crashOf(await death);
    for (const connection of this.#clients.keys()) connection.terminate(error);
  }
}
