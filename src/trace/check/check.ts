/**
 * What is wrong in a trace.
 *
 * Owns: the connections, and what each of them has said lately. Does not own: the rules (`conversation.ts`, `contents.ts`,
 * `session-state.ts`).
 * Invariant: a connection is accused once, at the first reply that cannot be: what follows may only be its consequence.
 */
import type { Trace } from "../read/trace-reader.ts";
import { type TracedMessage, traceEvents } from "../read/traced-messages.ts";
import { Consequences } from "./consequences.ts";
import { judgeContent } from "./contents.ts";
import { Conversation } from "./conversation.ts";
import type { Finding, Problem } from "./finding.ts";
import { SessionState } from "./session-state.ts";
import { Settings } from "./settings.ts";
import { type About, Statements } from "./statements.ts";

/** What was looked through. */
interface Checked {
  messages: number;
  connections: number;
}

/** The findings of a trace in their order; `checked` counts. */
export function* checkTrace(trace: Trace, checked: Checked = { messages: 0, connections: 0 }): Generator<Finding> {
  const lanes = new Map<number, CheckedLane>();
  const shared = { settings: new Settings(), consequences: new Consequences(), said: new Said() };
  for (const event of traceEvents(trace)) {
    if (event.kind === "dropped") for (const lane of lanes.values()) lane.conversation.lose();
    if (event.kind === "closed") lanes.delete(event.connection);
    if (event.kind === "unreadable") lanes.get(event.connection)?.conversation.lose();
    if (event.kind !== "message") continue;
    checked.messages++;
    const { connection, file, line, time } = event;
    let lane = lanes.get(connection);
    if (!lane) {
      checked.connections++;
      lane = new CheckedLane(connection, shared);
      lanes.set(connection, lane);
    }
    const problem = lane.take(event);
    if (!problem) continue;
    lane.conversation.lose();
    yield { ...problem, connection, file, line, time };
  }
}

/** The longest memory of what was said. */
const mostSaid = 10_000;

/** Literals and parameters, and whose they are. */
class Said {
  readonly #values = new Map<string, number>();

  add(connection: number, { statement, portal }: About): void {
    for (const value of [...(statement?.text?.literals ?? []), ...(portal?.values ?? [])]) {
      this.#values.delete(value);
      this.#values.set(value, connection);
    }
    for (const old of this.#values.keys()) {
      if (this.#values.size <= mostSaid) break;
      this.#values.delete(old);
    }
  }

  by(value: string): number | undefined {
    return this.#values.get(value);
  }
}

/** The known facts about all connections. */
interface Shared {
  readonly settings: Settings;
  readonly consequences: Consequences;
  readonly said: Said;
}

class CheckedLane {
  readonly conversation = new Conversation();
  readonly #statements = new Statements();
  readonly #connection: number;
  readonly #said: Said;
  readonly #session: SessionState;

  constructor(connection: number, { settings, consequences, said }: Shared) {
    this.#connection = connection;
    this.#said = said;
    this.#session = new SessionState(connection, settings, consequences);
  }

  take(message: TracedMessage): Problem | undefined {
    if (message.side === "frontend") {
      const about = this.#statements.take(message);
      this.#said.add(this.#connection, about);
      this.#session.asks(message, about);
      this.conversation.ask(message.name, about);
      return undefined;
    }
    if (!this.conversation.isFollowed) return undefined;
    const answered = this.conversation.reply(message);
    if ("problem" in answered) return answered.problem;
    const { to } = answered;
    const origin = (value: string): number | undefined => {
      const whose = this.#said.by(value);
      return whose === this.#connection ? undefined : whose;
    };
    try {
      const content = to && judgeContent(message, to, origin);
      return content ?? this.#session.gets(message, to);
    } catch {
      return { kind: "torn pipeline", sentence: `got ${message.name} that is too short` };
    }
  }
}
