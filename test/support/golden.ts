/**
 * Golden conversations: a text trace that is both what a client sends and what it must get.
 *
 * Owns: playing a trace with its bytes cut in any way. Does not own: the notation (wire-trace.ts), or the server.
 * Invariant: the client waits for what a trace says comes before it goes on; what comes in addition is in the result.
 */
import { setImmediate as turn } from "node:timers/promises";
import { within } from "./wait-until.ts";
import { type Address, type BackendMessage, message, WireClient } from "./wire-client.ts";
import { describeMessage, encodeLine } from "./wire-trace.ts";

/** Some messages that are sent together, and the lines of their answer. */
interface Step {
  readonly lines: readonly string[];
  readonly messages: readonly Buffer[];
  readonly answer: readonly string[];
}

/** A conversation, read from its trace. */
export interface Golden {
  readonly steps: readonly Step[];
  /** All bytes of the client. */
  readonly byteCount: number;
}

/** How a step's messages are cut into segments. */
export type Cut = (step: Step, index: number) => readonly Uint8Array[];

/** One segment for each message. */
export const oneByOne: Cut = ({ messages }) => messages;
/** One segment for each step. */
export const allTogether: Cut = ({ messages }) => [Buffer.concat(messages)];
/** One segment for each byte. */
export const byteByByte: Cut = ({ messages }) => [...Buffer.concat(messages)].map((byte) => Buffer.of(byte));

/** Two segments for the step that holds byte `at` of the conversation, cut there. */
export function cutAt(golden: Golden, at: number): Cut {
  return (step, index) => {
    const before = golden.steps.slice(0, index).reduce((sum, { messages }) => sum + Buffer.concat(messages).length, 0);
    const bytes = Buffer.concat(step.messages);
    const inside = at - before;
    return inside > 0 && inside < bytes.length ? [bytes.subarray(0, inside), bytes.subarray(inside)] : [bytes];
  };
}

/** Neighbouring messages share a segment where the bit of `mask` between them is set. */
export function grouped(mask: number): Cut {
  return ({ messages }) => {
    const segments: Buffer[] = [];
    messages.forEach((message, i) => {
      const joins = i > 0 && (mask >> ((i - 1) % 16)) & 1;
      if (joins) segments.push(Buffer.concat([segments.pop()!, message]));
      else segments.push(message);
    });
    return segments;
  };
}

/** Reads a trace: `F` lines are sent, `B` lines must come; blank lines and what follows `#` do not count. */
export function readGolden(trace: string): Golden {
  const steps: { lines: string[]; messages: Buffer[]; answer: string[] }[] = [];
  for (const line of trace.split("\n").map((one) => one.replace(/\s+#.*$/, "").trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const rest = line.slice(2);
    if (line.startsWith("F ")) {
      if (!steps.at(-1) || steps.at(-1)!.answer.length > 0) steps.push({ lines: [], messages: [], answer: [] });
      steps.at(-1)!.lines.push(rest);
      steps.at(-1)!.messages.push(encodeLine(rest));
    } else if (line.startsWith("B ")) {
      steps.at(-1)!.answer.push(rest);
    } else {
      throw new Error(`neither F nor B: ${line}`);
    }
  }
  return { steps, byteCount: steps.flatMap(({ messages }) => messages).reduce((sum, { length }) => sum + length, 0) };
}

/** The trace as it was read, to compare with what `play` returns. */
export function expected({ steps }: Golden): string {
  return render(steps, (step) => step.answer);
}

/** How to play a conversation. */
export interface PlayOptions {
  /** Logs in first; without it the trace begins with the startup phase. */
  login?: boolean;
  cut?: Cut;
  /** How long to wait for each message. */
  limitMs?: number;
}

/** Plays a conversation on a connection of its own and returns the trace of what happened. */
export async function play(address: Address, golden: Golden, options: PlayOptions = {}): Promise<string> {
  const { login = true, cut = allTogether, limitMs = 30_000 } = options;
  const client = await WireClient.connect(address);
  const reader = new LineReader(client, limitMs);
  const answers: string[][] = [];
  try {
    if (login) {
      client.send(message.startup({ user: "postgres", database: "postgres" }));
      while ((await reader.next()) !== "ReadyForQuery I") {}
    }
    for (const [index, step] of golden.steps.entries()) {
      await send(client, cut(step, index));
      answers.push(await reader.answer(step));
    }
    answers.at(-1)!.push(...(await reader.rest()));
  } finally {
    client.destroy();
  }
  return render(golden.steps, (_, index) => answers[index]!);
}

async function send(client: WireClient, segments: readonly Uint8Array[]): Promise<void> {
  for (const [index, segment] of segments.entries()) {
    // Two turns of the event loop: a server in this process has read what came before.
    if (index > 0) await turn().then(() => turn());
    if (client.ended) return;
    client.send(segment);
  }
}

/** What comes from a server, as lines. */
class LineReader {
  readonly #client: WireClient;
  readonly #limitMs: number;
  #settings = new Map<string, string>();
  #isReady = false;

  constructor(client: WireClient, limitMs: number) {
    this.#client = client;
    this.#limitMs = limitMs;
  }

  /** The next line; one in parentheses where there is no message. */
  async next(): Promise<string> {
    for (;;) {
      const next = await within(
        this.#limitMs,
        this.#client.next().catch(() => "end" as const),
      );
      if (next === undefined) return "(nothing came)";
      if (next === "end") return "(the connection ended)";
      const line = this.#line(next);
      if (line) return line;
    }
  }

  /** As many lines as the trace has for this step. */
  async answer({ answer }: Step): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < answer.length && !lines.at(-1)?.startsWith("(")) {
      const isByte = answer[lines.length]!.startsWith("Byte ");
      lines.push(isByte ? await this.#byte() : await this.next());
    }
    return lines;
  }

  /** What comes beyond the trace before the server lets the client go. */
  async rest(): Promise<string[]> {
    if (this.#client.ended) return [];
    this.#client.socket.end(message.terminate());
    const messages = await within(this.#limitMs, this.#client.untilEnd());
    if (!messages) return ["(the server does not let go)"];
    return messages.map((one) => this.#line(one)).filter((line) => line !== undefined);
  }

  async #byte(): Promise<string> {
    const bytes = await within(this.#limitMs, this.#client.bytes(1));
    return bytes ? `Byte ${bytes.toString("latin1")}` : "(nothing came)";
  }

  // The engine repeats its settings after an error; PostgreSQL sends those that changed.
  #line(message: BackendMessage): string | undefined {
    if (message.type === "Z") this.#isReady = true;
    if (message.type !== "S") return describeMessage(message);
    const [name = "", value = ""] = message.body.toString("utf8").split("\0");
    const isNews = this.#isReady && this.#settings.get(name) !== value;
    this.#settings.set(name, value);
    return isNews ? describeMessage(message) : undefined;
  }
}

function render(steps: readonly Step[], answer: (step: Step, index: number) => readonly string[]): string {
  return steps
    .flatMap((step, index) => [
      ...step.lines.map((line) => `F ${line}`),
      ...answer(step, index).map((line) => `B ${line}`),
    ])
    .join("\n");
}
