/**
 * The steps that have been launched and not yet reported as completed.
 *
 * Owns: which step each session runs, which steps wait, and what is printed about them. Does not own: their order.
 * Invariant: a step is reported as waiting at most once, and as completed exactly once, when its blockers allow it.
 * Mirrors try_complete_step() and try_complete_steps() in src/test/isolation/isolationtester.c of PostgreSQL's source.
 */
import type { BackendLink, Result } from "./backend-link.ts";
import { type Connections, PermutationFailed, waitQueryName } from "./connections.ts";
import { printResult } from "./result-table.ts";
import type { Blocker, PlacedStep, Spec } from "./spec.ts";

/** Whether to come back as soon as the step waits for a lock. */
type Patience = "until it waits" | "until it ends";

/** How long the tester listens to a session before it asks whether the session waits. */
const listenMs = 10;

interface ActiveStep {
  readonly placed: PlacedStep;
  /** The number of notices to wait for, for each blocker that counts them. */
  readonly targets: ReadonlyMap<Blocker, number>;
}

/** The active steps of one permutation. */
export class ActiveSteps {
  readonly #spec: Spec;
  readonly #connections: Connections;
  readonly #active: (ActiveStep | undefined)[];
  #waiting: PlacedStep[] = [];

  constructor(spec: Spec, connections: Connections) {
    this.#spec = spec;
    this.#connections = connections;
    this.#active = spec.sessions.map(() => undefined);
  }

  /** The steps that have been reported as waiting. */
  get waiting(): readonly PlacedStep[] {
    return this.#waiting;
  }

  /** The step that a session runs. */
  of(session: number): PlacedStep | undefined {
    return this.#active[session]?.placed;
  }

  /** Sends a step's SQL. */
  launch(placed: PlacedStep): void {
    const { notices, sessions } = this.#connections;
    sessions[placed.step.session]!.send(placed.step.sql);
    const targets = placed.blockers.flatMap((blocker): [Blocker, number][] =>
      blocker.kind === "notices" ? [[blocker, blocker.count + notices[blocker.step.session]!]] : [],
    );
    this.#active[placed.step.session] = { placed, targets: new Map(targets) };
  }

  /** A launched step counts as waiting from now on. */
  addWaiting(placed: PlacedStep): void {
    this.#waiting.push(placed);
  }

  /** Looks again at the waiting step of a session. */
  async retry(session: number, patience: Patience): Promise<void> {
    const placed = this.of(session)!;
    if (!(await this.advance(placed, patience, true))) this.#waiting = this.#waiting.filter((one) => one !== placed);
  }

  /** Looks again at all waiting steps, and once more as long as one of them may have released another one. */
  async retryAll(patience: Patience): Promise<void> {
    for (let again = true; again; ) {
      const before = this.#waiting.length;
      const noticesBefore = this.#noticeCount();
      for (const placed of [...this.#waiting]) await this.retry(placed.step.session, patience);
      const released = this.#waiting.length < before || this.#noticeCount() > noticesBefore;
      again = released && this.#waiting.some(({ blockers }) => blockers.length > 0);
    }
  }

  /** Waits for a step to end, or to wait; prints what becomes of it; whether it is still active. */
  async advance(placed: PlacedStep, patience: Patience, wasWaiting = false): Promise<boolean> {
    const { step, blockers } = placed;
    const { sessions, print, limit } = this.#connections;
    const link = sessions[step.session]!;
    const stays = (): boolean => {
      if (!wasWaiting) print(`step ${step.name}: ${step.sql} <waiting ...>\n`);
      return true;
    };
    if (!wasWaiting && blockers.some(({ kind }) => kind === "launch")) return stays();
    while (link.isBusy()) {
      limit.check();
      if ((await link.arrival(listenMs)) || patience === "until it ends") continue;
      if (!(await this.#waitsForLock(link))) continue;
      await link.consumeInput();
      if (link.isBusy()) return stays();
    }
    if (this.#isHeldBack(step.session)) return stays();
    print(wasWaiting ? `step ${step.name}: <... completed>\n` : `step ${step.name}: ${step.sql}\n`);
    for (let result = await link.nextResult(); result; result = await link.nextResult()) this.#printResult(result);
    await this.#printNotifications(link, step.session);
    this.#active[step.session] = undefined;
    return false;
  }

  async #waitsForLock(link: BackendLink): Promise<boolean> {
    const result = await this.#connections.control.executePrepared(waitQueryName, [`${link.pid}`]);
    if (result.kind !== "rows" || result.rows.length !== 1) {
      throw new PermutationFailed(`lock wait query failed: ${result.kind === "error" ? result.text.trim() : ""}`);
    }
    return result.rows[0]![0] === "t";
  }

  #isHeldBack(session: number): boolean {
    const { placed, targets } = this.#active[session]!;
    return placed.blockers.some((blocker) => {
      if (blocker.kind === "launch") return false;
      const { step } = blocker;
      if (blocker.kind === "step") return this.of(step.session)?.step === step;
      return this.#connections.notices[step.session]! < targets.get(blocker)!;
    });
  }

  #printResult(result: Result): void {
    const { print } = this.#connections;
    if (result.kind === "rows") print(printResult(result.columns, result.rows));
    else if (result.kind === "unexpected") print(`unexpected result status: ${result.status}\n`);
    else if (result.kind === "error") {
      const { severity, message, text } = result;
      print(severity === undefined ? `${text}\n` : `${severity}:  ${message}\n`);
    }
  }

  async #printNotifications(link: BackendLink, session: number): Promise<void> {
    const { sessions, print } = this.#connections;
    await link.consumeInput();
    for (let next = link.takeNotification(); next; next = link.takeNotification()) {
      const { senderPid, channel, payload } = next;
      const sender = sessions.findIndex(({ pid }) => pid === senderPid);
      const name = this.#spec.sessions[sender]?.name ?? `PID ${senderPid}`;
      const listener = this.#spec.sessions[session]!.name;
      print(`${listener}: NOTIFY "${channel}" with payload "${payload}" from ${name}\n`);
    }
  }

  #noticeCount(): number {
    return this.#connections.notices.reduce((sum, count) => sum + count, 0);
  }
}
