/**
 * One schedule: the actors begin, and one decision after the other lets one of them go on.
 *
 * Owns: who thinks, whose what arrives is, when an actor has come to rest. Does not own: the decisions (`choices.ts`), the gate.
 * Invariant: one actor thinks at a time. It has come to rest when something of it waits at the gate, when it is done, or, if it
 * waits for something outside of the database, after a silence, which is counted. So whatever arrives is its own, on whichever connection.
 */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import type { GateAnswer, GateEvent, GateStep } from "../engine/gate.ts";
import { ActorRun } from "./actor-run.ts";
import { type Choice, type Strategy, wordOf } from "./choices.ts";
import { Effects, type Granule } from "./effects.ts";
import type { GateClient } from "./gate-client.ts";
import type { Actor, Results, ScheduleStep } from "./report.ts";
import { type SettingsOf, undo } from "./session-state.ts";
import { describeStuck, stray } from "./stuck.ts";
import { Waiter } from "./waiter.ts";

/** What has come of a schedule. */
export interface ScheduleOutcome {
  readonly steps: readonly ScheduleStep[];
  readonly decisions: readonly string[];
  readonly results: Results;
  readonly silences: number;
  readonly strays: number;
  /** What came between the schedule before and this one. */
  readonly between: number;
  /** It was not the one that it was to be. */
  readonly isDiverged: boolean;
  /** It could not go on; why. */
  readonly stuck?: string;
  /** Some of them wait still: another schedule would be disturbed. */
  readonly isUnfinished: boolean;
  /** Of the sessions that it has used, at its end. */
  readonly settings: SettingsOf;
}

/** A connection in a schedule. */
interface UsedConnection {
  actor: ActorRun | undefined;
  /** Of its transaction. */
  status: GateAnswer["status"];
  /** The step that waits for a lock there. */
  blocked: OpenStep | undefined;
  /** Its last step. */
  last: OpenStep | undefined;
}

/** What a schedule is run with. */
export interface ScheduleLimits {
  readonly silenceMs: number;
  /** For how long a statement that neither ends nor waits for a lock is waited for. */
  readonly ms: number;
  /** Whether what passes is recorded. */
  readonly records: boolean;
  /** How exactly it is looked at what a step touches; not at all without it. */
  readonly granule: Granule | undefined;
}

/** Something that waits at the gate. */
interface Arrived {
  readonly actor: ActorRun | undefined;
  readonly connection: number;
  readonly sql: string;
  /** It is a part of the step before it on its connection. */
  readonly continues: boolean;
}

type Settled = Extract<GateStep, { isStale: false }>;
type OpenStep = { -readonly [Key in keyof ScheduleStep]: ScheduleStep[Key] } & { woke: string[] };

/** So many silences in a row, when nobody can go on, are the end. */
const patience = 10;
/** A login takes some rounds. */
const rounds = 10;

/** See the head of the file. */
export class ScheduleRun {
  readonly #gate: GateClient;
  readonly #silenceMs: number;
  readonly #limits: ScheduleLimits;
  readonly #actors: readonly ActorRun[];
  readonly #waiter = new Waiter();
  readonly #abort = new AbortController();
  readonly #connections = new Map<number, UsedConnection>();
  /** What waits at the gate, in its order. */
  #waiting: Arrived[] = [];
  readonly #steps: OpenStep[] = [];
  readonly #decisions: string[] = [];
  readonly #effects: Effects;
  #thinker: ActorRun | undefined;
  #silences = 0;
  #strays = 0;
  #isDiverged = false;
  #stuck: string | undefined;
  #settings: SettingsOf = new Map();

  constructor(gate: GateClient, actors: Readonly<Record<string, Actor>>, limits: ScheduleLimits) {
    this.#gate = gate;
    this.#silenceMs = limits.silenceMs;
    this.#limits = limits;
    this.#effects = new Effects(limits.granule ?? "relation");
    this.#actors = Object.entries(actors).map(([name, run]) => new ActorRun(name, run, this.#waiter.wake));
  }

  /** Runs it to its end; then the gate is open. */
  async run(strategy: Strategy): Promise<ScheduleOutcome> {
    const { passed, isQuiet } = await this.#gate.ask({
      do: "hold",
      records: this.#limits.records,
      ms: this.#limits.ms,
    });
    if (!isQuiet) this.#strays++;
    this.#gate.onEvent = (event) => this.#onEvent(event);
    for (const [index, actor] of this.#actors.entries()) {
      if (index > 0) await this.#gate.ask({ do: "ping" });
      actor.begin(this.#abort.signal);
      await this.#settle(actor);
    }
    for (;;) {
      await this.#passStrays();
      if (await this.#continue()) continue;
      const choices = this.#choices();
      if (choices.length > 0) await this.#decide(choices, strategy);
      else if (!(await this.#goesOn()) && (await this.#isOver())) break;
    }
    this.#gate.onEvent = () => {};
    if (!strategy.mayEnd(this.#steps.length)) this.#isDiverged = true;
    const results = Object.fromEntries(this.#actors.map((actor) => [actor.name, actor.result]));
    return {
      steps: this.#steps,
      decisions: this.#decisions,
      results,
      silences: this.#silences,
      strays: this.#strays,
      between: passed,
      isDiverged: this.#isDiverged,
      ...(this.#stuck === undefined ? {} : { stuck: this.#stuck }),
      isUnfinished: this.#actors.some(({ isDone }) => !isDone),
      settings: this.#settings,
    };
  }

  #onEvent(event: GateEvent): void {
    if ("closed" in event) {
      this.#waiting = this.#waiting.filter(({ connection }) => connection !== event.closed);
      this.#connections.delete(event.closed);
    } else {
      const { connection, sql, continues } = event;
      const actor = this.#whose(connection, continues);
      actor?.arrived();
      this.#waiting.push({ actor, connection, sql, continues });
    }
    this.#waiter.wake();
  }

  /** Undefined if it may be of more than one: whoever was silent for too long may go on at any time. */
  #whose(connection: number, continues: boolean): ActorRun | undefined {
    const used = this.#connections.get(connection);
    if (used?.actor && (continues || used.status !== "I")) return used.actor;
    const outside = this.#actors.filter(({ state }) => state === "outside");
    const thinker = this.#thinker?.state === "outside" ? undefined : this.#thinker;
    if (outside.length === 0) return thinker;
    if (thinker?.state === "thinking" || outside.length > 1) return undefined;
    return outside[0];
  }

  /** Waits until an actor has come to rest. */
  async #settle(actor: ActorRun): Promise<void> {
    this.#thinker = actor;
    const isElsewhere = this.#isBusy(actor) || this.#waiting.some((each) => each.actor === actor && !actor.hasArrived);
    const hasRested = await this.#isSoon(() => actor.hasRested, this.#silenceMs);
    // What it sends at once comes in one turn of its loop.
    if (hasRested) await turnOfTheLoop();
    else if (isElsewhere) actor.state = "resting";
    else {
      this.#silences++;
      actor.state = "outside";
    }
  }

  /**
   * Waits for so long; but a process that had no time for anything is not silent: what is under way is let arrive, so that it is not the
   * clock alone that decides.
   */
  async #isSoon(isSo: () => boolean, ms: number): Promise<boolean> {
    if (await this.#waiter.until(isSo, ms)) return true;
    for (let round = 0; round < rounds; round++) {
      await turnOfTheLoop();
      await this.#gate.ask({ do: "ping" });
      if (isSo()) return true;
    }
    return false;
  }

  #isBusy(actor: ActorRun): boolean {
    return [...this.#connections.values()].some((used) => used.actor === actor && used.blocked);
  }

  /** The first of what waits on each connection that does nothing, by actors. */
  #choices(): Choice[] {
    const free = this.#waiting.filter(
      ({ connection }, at) =>
        !this.#connections.get(connection)?.blocked &&
        this.#waiting.findIndex((each) => each.connection === connection) === at,
    );
    return this.#actors.flatMap((actor) =>
      free
        .filter((each) => each.actor === actor)
        .map(({ connection, sql }, nth) => ({ actor: actor.name, nth, connection, sql })),
    );
  }

  async #decide(choices: readonly Choice[], strategy: Strategy): Promise<void> {
    let pick = this.#isDiverged ? 0 : strategy.choose(choices, this.#steps.length, this.#effects.steps);
    if (pick === undefined) {
      this.#isDiverged = true;
      pick = 0;
    }
    const choice = choices[pick]!;
    const { connection, sql } = choice;
    const actor = this.#actors.find(({ name }) => name === choice.actor)!;
    actor.think();
    const record: OpenStep = { actor: actor.name, sql, connection, isBlocked: false, blockedBy: [], woke: [] };
    const step = await this.#gate.ask({ do: "release", connection, ...this.#release }, (told) => {
      if (told.isStale) return;
      this.#steps.push(record);
      this.#effects.begin(actor.name, connection, sql);
      this.#let(actor, record, told);
    });
    if (step.isStale) {
      actor.arrived();
      return;
    }
    this.#decisions.push(wordOf(choice));
    await this.#handOut(step, record);
  }

  /** At once: what its client sends next is its own. */
  #let(actor: ActorRun, record: OpenStep, step: Settled): void {
    const { connection } = record;
    this.#take(connection);
    this.#effects.add(connection, step.footprints, step.isBlocked);
    if (step.isSilent) this.#silences++;
    if (step.isBlocked) record.isBlocked = true;
    record.blockedBy = [...new Set([...record.blockedBy, ...this.#namesOf(step.blockedBy)])];
    const used = this.#connections.get(connection);
    const blocked = step.isBlocked ? record : undefined;
    this.#connections.set(connection, {
      actor,
      status: used?.status ?? "I",
      blocked,
      last: record,
    });
    for (const { connection: each, status } of step.answers) {
      const answered = this.#connections.get(each);
      if (answered) answered.status = status;
    }
    if (step.isBlocked) actor.state = "resting";
    else this.#thinker = actor;
  }

  /** What a connection had at the gate first is there no more. */
  #take(connection: number): void {
    const at = this.#waiting.findIndex((each) => each.connection === connection);
    // Its client may have gone, and has taken it along.
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Each that has an answer gets it, and comes to rest, before the next one does. */
  async #handOut(step: Settled, record: OpenStep | undefined): Promise<void> {
    const isSeen = record !== undefined;
    for (const { connection, kind, status, code, isInPieces, isDelivered } of step.answers) {
      const used = this.#connections.get(connection);
      const answered = kind === "answer" ? record : kind === "woken" ? used?.blocked : undefined;
      if (answered && code !== undefined) answered.code = code;
      const actor = used?.actor;
      if (used) used.status = status;
      if (kind !== "message") this.#effects.answered(connection, status, code, isSeen && !isInPieces);
      if (kind === "woken" && used) {
        used.blocked = undefined;
        if (actor) record?.woke.push(actor.name);
      }
      const wasOutside = actor?.state === "outside";
      if (!isDelivered) {
        if (kind !== "message" || wasOutside) {
          // What the one before has sent is its own.
          await this.#gate.ask({ do: "ping" });
          actor?.think();
          this.#thinker = actor;
        }
        await this.#gate.ask({ do: "deliver", connection });
      }
      if (actor && (kind !== "message" || wasOutside)) await this.#settle(actor);
      else await turnOfTheLoop();
    }
  }

  /** What its driver has asked about before is run without another decision: together they are the step. */
  async #continue(): Promise<boolean> {
    const next = this.#waiting.find(({ connection, continues }) => {
      const used = this.#connections.get(connection);
      return continues && used && !used.blocked;
    });
    if (!next) return false;
    const { connection, actor } = next;
    const used = this.#connections.get(connection);
    const record = used?.last;
    if (!actor || !record) return false;
    actor.think();
    const step = await this.#gate.ask({ do: "release", connection, ...this.#release }, (told) => {
      if (!told.isStale) this.#let(actor, record, told);
    });
    if (step.isStale) actor.arrived();
    else await this.#handOut(step, record);
    return true;
  }

  /** What nobody can have sent, or more than one, goes on at once. */
  async #passStrays(): Promise<void> {
    for (;;) {
      const found = this.#waiting.find(
        ({ actor, connection }) => !actor && !this.#connections.get(connection)?.blocked,
      );
      if (!found) return;
      const { connection } = found;
      const step = await this.#gate.ask({ do: "release", connection, ...this.#release });
      if (step.isStale) continue;
      this.#strays++;
      this.#take(connection);
      if (step.isBlocked) this.#blockStray(found, step);
      await this.#handOut(step, undefined);
    }
  }

  /** It is not known whose it is, but what it waits for is: it has an answer some day, or is ended with the others. */
  #blockStray({ connection, sql }: Arrived, { isBlocked, blockedBy }: Settled): void {
    const holders = this.#namesOf(blockedBy);
    const blocked: OpenStep = { actor: stray, sql, connection, isBlocked, blockedBy: holders, woke: [] };
    const used = this.#connections.get(connection) ?? { actor: undefined, status: "I", last: undefined };
    this.#connections.set(connection, { ...used, blocked });
  }

  #namesOf(connections: readonly number[]): string[] {
    return [...new Set(connections.flatMap((each) => this.#connections.get(each)?.actor?.name ?? []))];
  }

  /** Nobody waits at the gate: whether somebody will. */
  async #goesOn(): Promise<boolean> {
    const { seen } = this.#gate;
    const before = this.#actors.filter(({ isDone }) => isDone).length;
    const hasChanged = (): boolean =>
      this.#gate.seen !== seen || this.#actors.filter(({ isDone }) => isDone).length > before;
    if (before === this.#actors.length && !this.#isAnyBlocked) return false;
    for (let waited = 0; waited < patience; waited++) {
      if (this.#isAnyBlocked) {
        const step = await this.#gate.ask({ do: "wait", ms: this.#silenceMs });
        await this.#handOut(step, undefined);
        if (step.answers.length > 0) return true;
      } else await this.#waiter.until(hasChanged, this.#silenceMs);
      if (hasChanged()) return true;
    }
    const names = this.#actors.filter(({ isDone }) => !isDone).map(({ name }) => name);
    const blocked = [...this.#connections.values()].flatMap((used) => used.blocked ?? []);
    this.#stuck = describeStuck(names, blocked);
    return false;
  }

  /** Undoes what is left, unless something has come after all. */
  async #isOver(): Promise<boolean> {
    if (this.#stuck) await this.#free();
    else await turnOfTheLoop();
    for (;;) {
      const runs = undo(this.#connections);
      const settings = await this.#gate.ask({ do: "finish", seen: this.#gate.seen, runs });
      if (settings) this.#settings = new Map(runs.map(({ connection }, at) => [connection, settings[at] ?? []]));
      if (settings || !this.#stuck) return settings !== null;
    }
  }

  get #release() {
    return { seen: this.#gate.seen, ms: this.#limits.ms, watches: this.#limits.granule !== undefined };
  }

  get #isAnyBlocked(): boolean {
    return [...this.#connections.values()].some(({ blocked }) => blocked);
  }

  /** Whoever waits for ever is told to end. */
  async #free(): Promise<void> {
    await this.#gate.ask({ do: "open" });
    this.#abort.abort(new Error(this.#stuck));
    for (const [connection, { blocked }] of this.#connections) {
      if (blocked) await this.#gate.ask({ do: "cancel", connection });
    }
    const areDone = (): boolean => this.#actors.every(({ isDone }) => isDone);
    await this.#waiter.until(areDone, this.#silenceMs * patience);
  }
}
