/**
 * A script on one server.
 *
 * Owns: sending the steps in their order, finding out who waits for whom, and the trace. Does not own: the grammar, the
 * comparison of traces (`compare.ts`).
 * Invariant: before the next step is sent, every session has ended what it was doing, or has been seen waiting for
 * another one, twice in a row, without a cycle (which the server is about to break), or runs in the background.
 */
import { within } from "../../support/wait-until.ts";
import { type Address, message } from "../../support/wire-client.ts";
import { describeAnswer } from "./outcome.ts";
import type { Script, ScriptLine } from "./script.ts";
import { type Answer, StepSession } from "./step-session.ts";
import { Watcher } from "./watcher.ts";

/** One thing that happened. */
export interface TraceEvent {
  /** Index of the line in the script during which it happened. */
  readonly line: number;
  readonly session: string;
  /** `step`: what the line itself gave; `end`: an earlier step ended, or a notification arrived. */
  readonly kind: "step" | "end";
  readonly outcome: string;
  /** The transaction status afterwards; empty while it waits. */
  readonly status: string;
}

const pollMs = 5;
const settleMs = 120_000;
const notificationMs = 300_000;

/** Runs the script and returns what happened. The sessions are closed when it settles. Rejects if the server hangs. */
export async function runScript(script: Script, address: Address): Promise<TraceEvent[]> {
  const watcher = await Watcher.open(address);
  const runner = new Runner(address, watcher);
  try {
    for (const sql of script.setups) await watcher.query(sql);
    let group = 0;
    for (const [index, line] of script.lines.entries()) {
      if (line.action.kind !== "end") group = index;
      await runner.run(line, group);
    }
    return runner.trace;
  } finally {
    await runner.close();
    await watcher.close();
  }
}

class Runner {
  readonly trace: TraceEvent[] = [];
  readonly #address: Address;
  readonly #watcher: Watcher;
  readonly #sessions = new Map<string, StepSession>();
  /** Also those that have gone. */
  readonly #processes = new Map<number, string>();

  constructor(address: Address, watcher: Watcher) {
    this.#address = address;
    this.#watcher = watcher;
  }

  async run(line: ScriptLine, group: number): Promise<void> {
    const { session: name, action } = line;
    const add = (outcome: string, status = ""): void => {
      this.trace.push({ line: group, session: name, kind: "step", outcome, status });
    };
    if (action.kind === "end") return this.#awaitEnd(name, group);
    if (action.kind === "command" && action.command === "connect") {
      const refused = await this.#connect(name, readParameters(action.text));
      add(refused ?? "connected");
      return;
    }
    const session = await this.#session(name);
    if (session.pending && !isForBusy(line)) {
      add("busy");
      return;
    }
    if (action.kind === "send") {
      const sql = this.#withProcesses(action.sql);
      session.send(sql, action.inBackground, message.query(sql));
      return action.inBackground ? this.#watcher.busy(session.pid) : this.#settle(group, session);
    }
    const outcome = await this.#command(session, action.command, action.text);
    if (outcome !== undefined) add(outcome);
    await this.#settle(group, outcome === undefined ? session : undefined);
  }

  /** Closes all sessions, and resolves when the server has let go of them. */
  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    for (const session of sessions) session.vanish();
    await this.#watcher.gone(sessions.map(({ pid }) => pid));
  }

  async #session(name: string): Promise<StepSession> {
    if (!this.#sessions.has(name)) {
      const refused = await this.#connect(name, {});
      if (refused !== undefined) throw new Error(`${name} was refused: ${refused}`);
    }
    return this.#sessions.get(name)!;
  }

  async #connect(name: string, parameters: Record<string, string>): Promise<string | undefined> {
    const opened = await StepSession.open(name, this.#address, parameters);
    if (!(opened instanceof StepSession)) return describeAnswer(opened, this.#processes, false);
    this.#sessions.set(name, opened);
    this.#processes.set(opened.pid, name);
    return undefined;
  }

  /** Returns the outcome, or undefined if the command has an answer that is still to come. */
  async #command(session: StepSession, command: string, text: string): Promise<string | undefined> {
    switch (command) {
      case "cancel":
        await session.cancel();
        return "sent";
      case "leave":
      case "vanish": {
        const isBusy = session.pending !== undefined;
        if (command === "leave") await session.leave();
        else session.vanish();
        this.#sessions.delete(session.name);
        if (!isBusy) await this.#watcher.gone([session.pid]);
        return "gone";
      }
      case "data":
        session.sendMore(message.copyData(`${text.replaceAll("\\t", "\t")}\n`));
        return "sent";
      case "done":
        session.send("", false, message.copyDone());
        return undefined;
      case "parse": {
        const [name = "", ...sql] = text.split(" ");
        session.send(text, false, message.parse(name, sql.join(" ")), message.sync());
        return undefined;
      }
      default: {
        const [name = "", ...values] = text.split(" ");
        session.send(text, false, message.bind("", name, values), message.execute(""), message.sync());
        return undefined;
      }
    }
  }

  /** Waits until everybody has ended or waits; records what became of `launched` first, then the others by name. */
  async #settle(group: number, launched: StepSession | undefined): Promise<void> {
    const ended = new Map<string, Answer>();
    let waits: ReadonlyMap<number, readonly string[]> = new Map();
    let sameBefore = "";
    for (const end = Date.now() + settleMs; ; ) {
      await this.#collect(ended);
      const busy = [...this.#sessions.values()].filter(({ pending }) => pending && !pending.inBackground);
      if (busy.length === 0) break;
      waits = await this.#watcher.waits(
        busy.map(({ pid }) => pid),
        this.#processes,
      );
      const picture = JSON.stringify([...waits]);
      const isSteady = busy.every(({ pid }) => waits.has(pid)) && !hasCycle(waits, this.#processes);
      // Two equal pictures: a session that has just been woken up may not have taken itself off the list yet.
      if (isSteady && picture === sameBefore && !(await this.#collect(ended))) break;
      sameBefore = isSteady ? picture : "";
      if (Date.now() > end)
        throw new Error(`${busy.map(({ name }) => name).join(", ")}: neither an end nor a wait for another session`);
      await within(pollMs, Promise.race(busy.map((session) => session.arrival())));
    }
    if (launched) {
      const answer = ended.get(launched.name);
      const [outcome, status] = answer
        ? this.#describe(answer)
        : [`waits for ${waits.get(launched.pid)!.join(", ")}`, ""];
      this.trace.push({ line: group, session: launched.name, kind: "step", outcome, status });
      ended.delete(launched.name);
    }
    for (const name of [...ended.keys()].sort()) this.#addEnd(group, name, ended.get(name)!);
  }

  async #collect(ended: Map<string, Answer>): Promise<boolean> {
    let found = false;
    for (const session of this.#sessions.values()) {
      if (session.pending?.inBackground) continue;
      const answer = await session.takeAnswer();
      if (!answer) continue;
      ended.set(session.name, answer);
      found = true;
    }
    return found;
  }

  async #awaitEnd(name: string, group: number): Promise<void> {
    const session = await this.#session(name);
    if (this.trace.some((event) => event.line === group && event.session === name && event.kind === "end")) return;
    const isAnswer = session.pending !== undefined;
    for (const end = Date.now() + (isAnswer ? settleMs : notificationMs); Date.now() < end; ) {
      const answer = await session.takeAnswer();
      if (answer) return this.#addEnd(group, name, answer);
      const unasked = isAnswer ? [] : session.takeUnasked();
      if (unasked.length > 0) return this.#addEnd(group, name, { sql: "", messages: unasked, status: "" });
      await within(pollMs, session.arrival());
    }
    this.trace.push({ line: group, session: name, kind: "end", outcome: "nothing", status: "" });
  }

  #addEnd(group: number, name: string, answer: Answer): void {
    const [outcome, status] = this.#describe(answer);
    this.trace.push({ line: group, session: name, kind: "end", outcome, status });
  }

  #describe({ sql, messages, status }: Answer): [string, string] {
    const text = describeAnswer(messages, this.#processes, /pid|blocking/i.test(sql));
    return [status === "closed" ? `${text}${text === "" ? "" : " / "}closed` : text, status];
  }

  #withProcesses(sql: string): string {
    return sql.replace(/<([A-Z]\w*)>/g, (whole, name: string) => {
      const found = this.#sessions.get(name);
      return found ? `${found.pid}` : whole;
    });
  }
}

/** Whether a line makes sense while its session is busy. */
function isForBusy({ action }: ScriptLine): boolean {
  return action.kind === "command" && ["cancel", "leave", "vanish"].includes(action.command);
}

function readParameters(text: string): Record<string, string> {
  const pairs = text.split(/,\s*/).filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

function hasCycle(waits: ReadonlyMap<number, readonly string[]>, processes: ReadonlyMap<number, string>): boolean {
  const edges = new Map([...waits].map(([pid, names]) => [processes.get(pid)!, names]));
  const reaches = (from: string, to: string, seen: Set<string>): boolean =>
    (edges.get(from) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  return [...edges.keys()].some((name) => reaches(name, name, new Set()));
}
