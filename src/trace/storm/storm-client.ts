/**
 * One client of the storm: it makes queries, has their answers judged, and goes on whatever comes.
 *
 * Owns: the order of sending and receiving, and when the client needs a new connection. Does not own: how many queries
 * there are and how long a client waits (`storm.ts`).
 * Invariant: every query is judged exactly once; a corruption is counted once, because the client goes on with a new
 * connection unless the old one is surely in step.
 */
import { setTimeout as delay } from "node:timers/promises";
import { encodeSync } from "../../wire/frontend.ts";
import type { BackendMessage } from "../../wire/message-reader.ts";
import type { Exchange } from "./exchange.ts";
import { type Answer, type AnswerEnd, isReply, judge, type Verdict } from "./judge.ts";
import { planQuery, type StormChoice } from "./query-plan.ts";
import { RawConnection, type ServerAddress } from "./raw-connection.ts";
import { usesAfter } from "./shapes.ts";
import type { Split, Step } from "./split.ts";

interface StormPlan extends StormChoice {
  readonly address: ServerAddress;
}

/** A query that has been judged. */
export interface JudgedQuery {
  readonly client: number;
  readonly query: number;
  readonly shape: string;
  readonly split: Split;
  readonly verdict: Verdict;
}

/** Whom a client tells what happens. */
interface StormRecord {
  judged(query: JudgedQuery): void;
  /** The server did not let a client in. */
  refused(): void;
}

// An answer that is longer than this never ends.
const mostMessages = 10_000;
const loginPauseMs = 50;

/** A client; `number` is its own. */
export class StormClient {
  readonly #number: number;
  readonly #plan: StormPlan;
  readonly #record: StormRecord;
  #connection: RawConnection | undefined;
  #keptUses = 0;

  constructor(number: number, plan: StormPlan, record: StormRecord) {
    this.#number = number;
    this.#plan = plan;
    this.#record = record;
  }

  /** The connection that it uses now. */
  get connection(): RawConnection | undefined {
    return this.#connection;
  }

  /** Makes queries, numbered from 0, while `goesOn` says so; resolves when its connection is closed. */
  async run(goesOn: (query: number) => boolean, pace: (query: number) => Promise<void>): Promise<void> {
    try {
      for (let query = 0; goesOn(query); query++) {
        await pace(query);
        while (!this.#connection && goesOn(query)) await this.#connect();
        if (this.#connection) await this.#ask(this.#connection, query);
      }
    } finally {
      this.#drop();
    }
  }

  async #connect(): Promise<void> {
    this.#connection = new RawConnection(this.#plan.address, `storm ${this.#number}`);
    this.#keptUses = 0;
    if (await this.#connection.login()) return;
    this.#record.refused();
    this.#drop();
    await delay(loginPauseMs);
  }

  #drop(): void {
    this.#connection?.hangUp();
    this.#connection = undefined;
  }

  async #ask(connection: RawConnection, query: number): Promise<void> {
    const { shape, split, exchange, steps } = planQuery(this.#plan, this.#number, query, this.#keptUses);
    const answer = await this.#receiveAnswer(connection, steps);
    const verdict = judge(exchange, answer);
    if (shape === "kept statement") this.#keptUses = usesAfter(this.#keptUses);
    if (exchange.hangsUp || !isInStep(exchange, verdict, answer, connection)) this.#drop();
    this.#record.judged({ client: this.#number, query, shape: exchange.shape, split, verdict });
  }

  async #receiveAnswer(connection: RawConnection, steps: readonly Step[]): Promise<Answer> {
    const messages: BackendMessage[] = [];
    let due = 0;
    for (const step of steps) {
      await connection.send(step.segments);
      due += step.replies.length;
      for (const reply of step.replies) {
        const message = await connection.next();
        if (!message) return { messages, due, end: answerEnd(connection) };
        messages.push(message);
        if (!isReply(reply, message)) {
          return { messages, due, end: await finishPipeline(connection, step, messages) };
        }
      }
    }
    return { messages, due, end: "complete" };
  }
}

/** All that still comes of a pipeline that goes wrong, as a driver reads it before it reports the error. */
async function finishPipeline(connection: RawConnection, step: Step, messages: BackendMessage[]): Promise<AnswerEnd> {
  if (step.endsPipeline && messages.at(-1)?.type === "Z") return "complete";
  if (!step.endsPipeline) await connection.send([encodeSync()]);
  while (messages.length < mostMessages) {
    const message = await connection.next();
    if (!message) return answerEnd(connection);
    messages.push(message);
    if (message.type === "Z") break;
  }
  return "complete";
}

function answerEnd(connection: RawConnection): AnswerEnd {
  return connection.end === "silence" ? "silence" : "lost";
}

/** After a clean error a client goes on; after anything else that was not right nobody knows what comes next. */
function isInStep(exchange: Exchange, verdict: Verdict, { messages, end }: Answer, connection: RawConnection): boolean {
  if (verdict.kind === "right") return true;
  if (verdict.kind !== "statementError" && verdict.kind !== "otherError") return false;
  const last = messages.at(-1);
  const clean = end === "complete" && last?.type === "Z" && last.body.toString("latin1") === "I";
  return clean && !exchange.keepsState && connection.unread === 0;
}
