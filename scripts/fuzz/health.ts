/**
 * Whether a server serves: a new client each time, and one that stays for the whole run.
 *
 * Owns: the probe, its time and its limit. Does not own: what was done to the server.
 * Invariant: a check always ends. Its clock stands still while this process itself gets no time, so that a machine
 * that is busy elsewhere makes no server look late.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  encodeBind,
  encodeExecute,
  encodeMessage,
  encodeParse,
  encodeStartup,
  encodeSync,
} from "../../src/wire/frontend.ts";
import { type BackendMessage, rows, WireClient } from "../../test/support/wire-client.ts";
import { type Endpoint, withinMs } from "./client.ts";
import { stopTimeoutMs } from "./server-under-test.ts";

const timesBaseline = 5;
/** Later than this, the server is taken to be stuck. */
const stuckMs = 10_000;
const turnMs = 10;

/** What a check found. */
interface Finding {
  /** How long the probe took; undefined when no answer came at all. */
  readonly probeMs: number | undefined;
  readonly problems: readonly string[];
  /** Whether only a new server helps. */
  readonly isStuck: boolean;
}

/** Checks of one server. */
export class Health {
  readonly #endpoint: Endpoint;
  #bystander: WireClient | undefined;
  #asked = 0;
  readonly #delay = monitorEventLoopDelay({ resolution: turnMs });
  /** The time of a probe while nothing else goes on: the median of some. */
  baselineMs = 0;
  readonly #lateAfterMs: number;

  private constructor(endpoint: Endpoint, lateAfterMs: number) {
    this.#endpoint = endpoint;
    this.#lateAfterMs = lateAfterMs;
  }

  /** Measures the baseline and lets the client in that stays. Rejects when the server does not serve. */
  static async begin(endpoint: Endpoint, lateAfterMs: number): Promise<Health> {
    const health = new Health(endpoint, lateAfterMs);
    health.#delay.enable();
    const times: number[] = [];
    for (let left = 15; left > 0; left--) {
      const time = await probe(endpoint, stuckMs);
      if (typeof time === "string") throw new Error(`the server does not serve: ${time}`);
      times.push(time);
    }
    health.baselineMs = times.sort((a, b) => a - b)[7]!;
    await health.#admitBystander();
    return health;
  }

  /** The latest time of an answer that is not late. */
  get limitMs(): number {
    return Math.max(this.#lateAfterMs, timesBaseline * this.baselineMs);
  }

  /** A probe by a new client, and nothing else. */
  async probe(): Promise<Finding> {
    this.#delay.reset();
    let time = await probe(this.#endpoint, stuckMs);
    // This process got no time itself, and so was late with its login.
    const wasHeldUp = this.#delay.max / 1e6 > stopTimeoutMs / 2;
    if (wasHeldUp && typeof time === "string" && / login timeout/.test(time)) {
      time = await probe(this.#endpoint, stuckMs);
    }
    if (typeof time === "string") return { probeMs: undefined, isStuck: true, problems: [`a new client: ${time}`] };
    const late = time > this.limitMs ? [`a new client waited ${Math.round(time)} ms for the answer to select 1`] : [];
    return { probeMs: time, isStuck: false, problems: late };
  }

  /** A probe, and a question of the client that stays. */
  async check(): Promise<Finding> {
    const found = await this.probe();
    if (found.isStuck) return found;
    const trouble = await this.#askBystander();
    if (trouble === undefined) return found;
    const canReturn =
      (await withinMs(
        stuckMs,
        this.#admitBystander().catch(() => {}),
      )) && this.#bystander?.ended === false;
    return { ...found, isStuck: !canReturn, problems: [...found.problems, `a client that stayed: ${trouble}`] };
  }

  /** Hangs up. */
  end(): void {
    this.#delay.disable();
    this.#bystander?.destroy();
  }

  async #admitBystander(): Promise<void> {
    this.#bystander?.destroy();
    const client = await WireClient.login(this.#endpoint, { application_name: "bystander" });
    this.#bystander = client;
    client.send(encodeParse("bystander", "select $1::text"), encodeSync());
    await client.until("Z");
  }

  /** Runs the statement that it has prepared at its login; the answer has to be its own. */
  async #askBystander(): Promise<string | undefined> {
    const client = this.#bystander!;
    const question = `question ${this.#asked++}`;
    if (client.unread.some(({ type }) => type !== "S" && type !== "N")) {
      return `got messages that it had not asked for: ${client.unread.map(({ type }) => type).join("")}`;
    }
    client.send(encodeBind("", "bystander", [question]), encodeExecute(""), encodeSync());
    const answer = await inTurns(stuckMs, client.until("Z"));
    if (answer === undefined) return "no answer";
    if (answer instanceof Error) return answer.message;
    const value = rows(answer.value)[0]?.[0];
    return value === question
      ? undefined
      : `asked for ${question}, got ${value ?? answer.value.map(({ type }) => type).join("")}`;
  }
}

/** Logs in, asks for one row, leaves. Returns the time of it, or what went wrong. */
async function probe(endpoint: Endpoint, longestMs: number): Promise<number | string> {
  let client: WireClient | undefined;
  const work = async (): Promise<BackendMessage[]> => {
    client = await WireClient.connect(endpoint);
    return loginAndAsk(client);
  };
  try {
    const answer = await inTurns(longestMs, work());
    if (answer === undefined) return `no answer within ${longestMs} ms`;
    if (answer instanceof Error) return answer.message;
    const value = rows(answer.value)[0]?.[0];
    if (value !== "1") return `got ${JSON.stringify(value)} for select 1`;
    client?.socket.end(encodeMessage("X"));
    return answer.ms;
  } finally {
    if (client && !client.socket.writableEnded) client.destroy();
  }
}

async function loginAndAsk(client: WireClient): Promise<BackendMessage[]> {
  client.send(encodeStartup({ user: "postgres", database: "postgres" }));
  const greeting = await untilReady(client);
  if (greeting !== undefined) throw new Error(greeting);
  return client.query("select 1");
}

async function untilReady(client: WireClient): Promise<string | undefined> {
  for (;;) {
    const { type, body } = await client.next();
    if (type === "Z") return undefined;
    if (type === "E") return `refused: ${body.toString("utf8").replaceAll("\0", " ")}`;
  }
}

/** What `work` resolves with and its time in turns of the event loop; its error; undefined after `longestMs`. */
async function inTurns<T>(longestMs: number, work: Promise<T>): Promise<{ value: T; ms: number } | Error | undefined> {
  let result: { value: T } | Error | undefined;
  const done = work.then(
    (value) => {
      result = { value };
    },
    (error: unknown) => {
      result = error instanceof Error ? error : new Error(String(error));
    },
  );
  let spentMs = 0;
  while (result === undefined && spentMs < longestMs) {
    const began = performance.now();
    await withinMs(turnMs, done);
    spentMs += Math.min(performance.now() - began, 3 * turnMs);
  }
  const settled = result as { value: T } | Error | undefined;
  return settled instanceof Error || settled === undefined ? settled : { value: settled.value, ms: spentMs };
}
