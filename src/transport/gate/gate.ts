/**
 * The gate of one database: who goes on, and what came of it.
 *
 * Owns: the members, what a request does, when the engine is quiet. Does not own: one client (`member.ts`), the connection that
 * decides (`gates.ts`), what is a lock (`sessions/`).
 * Invariant: what is let through ends, or waits for a lock, before the request is answered: that is asked of the scheduler, and a clock
 * only ends a wait that is in vain, which is told. Whoever cannot have more to say is handed its answer only when it is asked for.
 */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import type { Batch, SocketConnection } from "@electric-sql/pglite-socket";
import type {
  AsideRun,
  GateAnswer,
  GateEvent,
  GateHold,
  GateRecord,
  GateRequest,
  GateSettings,
  GateStep,
} from "../../engine/gate.ts";
import type { Footprint } from "../../sessions/footprints.ts";
import type { SessionHost } from "../../sessions/host.ts";
import { encodeQuery } from "../../wire/frontend.ts";
import { readQueryResults } from "../../wire/query-results.ts";
import type { ClientSession } from "../client-session.ts";
import { GateMember } from "./member.ts";
import { PassedBytes } from "./passed-bytes.ts";

/** What a gate needs of all sessions. */
export type GateHost = Pick<SessionHost, "scheduler" | "blockedBy" | "machine" | "settingsOf">;

const preparedStatements = encodeQuery("SELECT name, statement FROM pg_prepared_statements WHERE NOT from_sql");

/** See the head of the file. */
export class Gate {
  readonly #host: GateHost;
  readonly #tell: (event: GateEvent) => void;
  readonly #members = new Map<number, GateMember>();
  readonly #passed = new PassedBytes();
  #isHolding = false;
  #arrivals = 0;
  /** What has come while nothing was held. */
  #passedOpen = 0;
  #whenQuiet: (() => void) | undefined;

  /** `tell`: whoever decides is told of what happens. */
  constructor(host: GateHost, tell: (event: GateEvent) => void) {
    this.#host = host;
    this.#tell = tell;
    host.scheduler.onTurnOver.add(this.#look);
  }

  get isHolding(): boolean {
    return this.#isHolding;
  }

  submit(connection: SocketConnection, client: ClientSession, batch: Batch): Promise<void> {
    return this.#member(connection, client).submit(batch);
  }

  /** A client has gone. */
  detach(connection: SocketConnection): void {
    const member = this.#members.get(connection.processId);
    if (!member) return;
    this.#members.delete(connection.processId);
    this.#host.scheduler.decided.delete(connection.processId);
    member.drop();
    this.#tell({ closed: connection.processId });
  }

  /** Answers a request. Rejects for one that cannot be. */
  async ask(
    request: GateRequest,
    clients: ReadonlyMap<SocketConnection, ClientSession>,
    isMember: (connection: SocketConnection) => boolean,
  ): Promise<unknown> {
    switch (request.do) {
      case "hold":
        for (const [connection, client] of clients) if (isMember(connection)) this.#member(connection, client);
        return this.#hold(request.records, request.ms);
      case "open":
        return this.open();
      case "finish":
        return this.#finish(request.seen, request.runs);
      case "release":
        return this.#release(this.#members.get(request.connection), request);
      case "wait":
        return this.#wait(request.ms);
      case "deliver":
        return this.#members.get(request.connection)?.deliver();
      case "aside":
        return this.#asides(request.runs);
      case "settings":
        return this.#settings(request.connections);
      case "ping":
        return turnOfTheLoop();
      case "cancel":
        return this.#members.get(request.connection)?.cancel();
      case "record":
        return this.#passed.records satisfies readonly GateRecord[];
    }
  }

  /** Lets everything go. */
  open(): void {
    this.#isHolding = false;
    for (const member of this.#members.values()) {
      this.#host.scheduler.decided.delete(member.number);
      member.open();
    }
  }

  /** As `open`, for ever. */
  end(): void {
    this.open();
    this.#host.scheduler.onTurnOver.delete(this.#look);
  }

  #member(connection: SocketConnection, client: ClientSession): GateMember {
    const known = this.#members.get(connection.processId);
    if (known) return known;
    const member = new GateMember(connection, client, {
      arrived: ({ number: from }, sql, continues) =>
        this.#tell({ number: ++this.#arrivals, connection: from, sql, continues }),
      passedOpen: () => {
        this.#passedOpen++;
      },
      settled: this.#look,
      passed: (from, side, bytes) => this.#passed.add(from, side, bytes),
    });
    this.#members.set(connection.processId, member);
    if (this.#isHolding) this.#decide(member);
    return member;
  }

  /** From now on it goes on when it is let through. */
  #decide(member: GateMember): void {
    this.#host.scheduler.decided.add(member.number);
    member.hold();
  }

  async #hold(records: boolean, ms: number): Promise<GateHold> {
    this.#isHolding = true;
    for (const member of this.#members.values()) this.#decide(member);
    const isQuiet = await this.#quiet(ms);
    // In a transaction that has failed nothing can be asked.
    const able = [...this.#members.values()].filter(({ status }) => status !== "E");
    for (const member of able) {
      if (member.session && !member.knowsStatements) {
        member.knowsStatements = true;
        const rows = await this.#aside(member, preparedStatements);
        member.learn(rows.map(([name, sql]) => [name ?? "", sql ?? ""] as const));
      }
    }
    this.#passed.begin(records);
    const passed = this.#passedOpen;
    this.#passedOpen = 0;
    return { connections: able.map(({ number }) => number), passed, isQuiet };
  }

  async #finish(seen: number, runs: readonly AsideRun[]): Promise<GateSettings | null> {
    await turnOfTheLoop();
    if (this.#arrivals !== seen) return null;
    await this.#asides(runs);
    const settings = await this.#settings(runs.map(({ connection }) => connection));
    this.open();
    return settings;
  }

  async #settings(connections: readonly number[]): Promise<GateSettings> {
    const all: GateSettings[number][] = [];
    for (const connection of connections) {
      const member = this.#members.get(connection);
      const session = member?.isIdle ? member.session : undefined;
      all.push((session && (await this.#host.settingsOf(session))) ?? null);
    }
    return all;
  }

  async #release(
    member: GateMember | undefined,
    { seen, ms, watches }: Extract<GateRequest, { readonly do: "release" }>,
  ): Promise<GateStep> {
    // What was sent before this request was: the other sockets are looked at first.
    await turnOfTheLoop();
    // Its client may have gone meanwhile.
    if (this.#arrivals !== seen || !member?.hasWaiting) return { isStale: true };
    const running = this.#running();
    for (const each of this.#members.values()) each.holdAnswers();
    const { footprints } = this.#host.machine;
    const watching = watches ? footprints.begin() : undefined;
    this.#host.scheduler.decided.add(member.number);
    member.release();
    await this.#quiet(ms);
    return this.#step(member, running, watching ? footprints.end(watching) : []);
  }

  async #wait(ms: number): Promise<GateStep> {
    const running = this.#running();
    if (!running.some(({ state }) => state === "answered")) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#whenQuiet = () => {
          if (running.every(({ state }) => state === "running")) return;
          clearTimeout(timer);
          resolve();
        };
      });
      this.#whenQuiet = undefined;
    }
    await this.#quiet(ms);
    return this.#step(undefined, running);
  }

  /** Those that have no answer to what was let through: they are blocked. */
  #running(): GateMember[] {
    return [...this.#members.values()].filter(({ state }) => state !== "idle");
  }

  #step(
    released: GateMember | undefined,
    running: readonly GateMember[],
    footprints: readonly (readonly [number, Footprint])[] = [],
  ): GateStep {
    const answers: GateAnswer[] = [];
    const add = (member: GateMember, kind: GateAnswer["kind"]): void => {
      const { code, number: connection, status, isInPieces } = member;
      answers.push({
        connection,
        kind,
        status,
        isInPieces,
        isDelivered: false,
        ...(code === undefined ? {} : { code }),
      });
    };
    if (released?.state === "answered") add(released, "answer");
    for (const member of running.filter(({ state }) => state === "answered")) {
      this.#passed.decide(member, "woken", "");
      add(member, "woken");
    }
    for (const member of this.#members.values()) {
      if (member.state !== "idle") continue;
      if (member.hasAnswer) add(member, "message");
      else member.deliver();
    }
    const blockers = released?.state === "running" && released.session && this.#host.blockedBy(released.session);
    const blockedBy = blockers ? blockers : [];
    if (released && blockers) this.#passed.decide(released, "wait", `lock of ${blockedBy.join(", ")}`);
    const [only] = answers;
    if (answers.length === 1 && only?.kind === "answer" && released) {
      released.deliver();
      answers[0] = { ...only, isDelivered: true };
    }
    const isSilent = released?.isLoose === true;
    return { isStale: false, blockedBy, isBlocked: isSilent || Boolean(blockers), isSilent, answers, footprints };
  }

  async #asides(runs: readonly AsideRun[]): Promise<(readonly (string | null)[])[][]> {
    const all: (readonly (string | null)[])[][] = [];
    for (const { connection, sql } of runs) {
      const member = this.#members.get(connection);
      all.push(member ? await this.#aside(member, encodeQuery(sql)) : []);
    }
    return all;
  }

  async #aside(member: GateMember, messages: Uint8Array): Promise<(readonly (string | null)[])[]> {
    const answer = await member.aside(messages);
    return answer ? readQueryResults(answer).flatMap(({ rows }) => rows) : [];
  }

  /**
   * Resolves when whatever was let through has its answer, or waits for a lock. False after so many ms: what runs on, a loop that waits for
   * somebody else's row for example, is not waited for any more.
   */
  async #quiet(ms: number): Promise<boolean> {
    if (this.#isQuiet) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#whenQuiet = () => {
        if (!this.#isQuiet) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#whenQuiet = undefined;
    if (this.#isQuiet) return true;
    for (const member of this.#members.values()) {
      if (!this.#runs(member)) continue;
      member.isLoose = true;
      // Others go on beside it, by the clock.
      this.#host.scheduler.decided.delete(member.number);
    }
    return false;
  }

  get #isQuiet(): boolean {
    return ![...this.#members.values()].some((member) => !member.isLoose && this.#runs(member));
  }

  #runs({ state, session }: GateMember): boolean {
    if (state === "running" && !(session && this.#host.blockedBy(session))) return true;
    return session !== undefined && this.#host.scheduler.isBusyWith(new Set([session]));
  }

  readonly #look = (): void => this.#whenQuiet?.();
}
