/**
 * What a trace's clients did, as something that can be done again.
 *
 * Owns: the steps, their order, and what had come before each of them. Does not own: doing them (`player.ts`).
 * Invariant: one step for each data event, cut as it was; logins are one step each, because their bytes are new each time.
 */
import { UsageError } from "../../errors.ts";
import { ConnectionReader, type WireMessage } from "../../wire/connection-reader.ts";
import type { Trace, TraceRecord } from "../read/trace-reader.ts";

/** One thing that a client did. */
export type Step = {
  readonly connection: number;
  readonly line: number;
  /** Which replies had come since the step before: how many, by connection. */
  readonly came: ReadonlyMap<number, number>;
  /** How long after the step before it was, in ms. */
  readonly pauseMs: number;
  /** Its connection got something before the next step of anybody. */
  isAnswered: boolean;
} /** `asksForGss`: whether a GSSENCRequest came before the startup packet. */ & (
  | { readonly kind: "connect"; readonly parameters: Readonly<Record<string, string>>; readonly asksForGss: boolean }
  | { readonly kind: "send"; readonly bytes: Buffer }
  | { readonly kind: "cancel"; readonly of: number }
  | { readonly kind: "close" }
  /** Of the server; its connection is 0. */
  | { readonly kind: "reset" }
);

/** All steps, and what came after the last one. */
export interface Script {
  readonly steps: readonly Step[];
  readonly came: ReadonlyMap<number, number>;
}

/** May come at any time, so nobody waits for them. */
const asynchronous: ReadonlySet<string> = new Set(["ParameterStatus", "NoticeResponse", "NotificationResponse"]);

/** Whether a message is a reply, rather than something that may come at any time. */
export function isReply({ side, name }: Pick<WireMessage, "side" | "name">): boolean {
  return side === "backend" && !asynchronous.has(name);
}

/** Reads a trace. Throws a `UsageError` for one that is not whole. */
export function readScript(trace: Trace): Script {
  if (trace.isPartial)
    throw new UsageError("the beginning of this trace was dropped; it cannot be replayed (--trace-limit)");
  const reader = new ScriptReader();
  for (const record of trace.records()) reader.take(record);
  return reader.script();
}

class ClientLane {
  readonly reader = new ConnectionReader();
  processId: number | undefined;
  state: "login" | "open" = "login";
  asksForGss = false;
  /** The client has asked for what is ready, so that any server has to send it. */
  hasFlushed = false;
  /** Replies that came although it has not. */
  early = 0;
}

type Doing<S> = S extends unknown ? Omit<S, "line" | "came" | "pauseMs" | "isAnswered"> : never;

class ScriptReader {
  readonly #lanes = new Map<number, ClientLane>();
  readonly #steps: Step[] = [];
  #came = new Map<number, number>();
  #time = 0;

  script(): Script {
    return { steps: this.#steps, came: this.#came };
  }

  take(record: TraceRecord): void {
    if (record.kind === "dropped")
      throw new UsageError(`${record.count} records of this trace are missing; it cannot be replayed`);
    const { line, time } = record;
    const add = (doing: Doing<Step>): void => {
      const pauseMs = (time - this.#time) / 1000;
      this.#time = time;
      this.#steps.push({ ...doing, line, came: this.#came, pauseMs, isAnswered: false } as Step);
      this.#came = new Map();
    };
    if (record.kind === "decision") {
      if (record.decision === "restore") {
        throw new UsageError(
          `${record.file}, line ${line}: the server went back to a snapshot (${record.on}); such a trace cannot be replayed`,
        );
      }
      if (record.decision === "reset") add({ kind: "reset", connection: 0 });
      return;
    }
    const { connection } = record;
    const lane = this.#lanes.get(connection) ?? new ClientLane();
    this.#lanes.set(connection, lane);
    if (record.kind === "closed") {
      if (lane.state === "open") add({ kind: "close", connection });
    } else if (record.side === "backend") {
      this.#gets(connection, lane, lane.reader.push("backend", record.bytes));
    } else if (lane.state === "open") {
      const last = lane.reader.push("frontend", record.bytes).at(-1);
      if (last) lane.hasFlushed = flushes.has(last.name);
      add({ kind: "send", connection, bytes: record.bytes });
    } else {
      this.#begins(connection, lane, lane.reader.push("frontend", record.bytes), add);
    }
  }

  /** What is sent before the login is over: packets, and passwords, which are of no use. */
  #begins(
    connection: number,
    lane: ClientLane,
    messages: readonly WireMessage[],
    add: (doing: Doing<Step>) => void,
  ): void {
    for (const { name, type, body } of messages) {
      if (name === "CancelRequest") {
        const processId = body.readInt32BE(4);
        const [of] = [...this.#lanes].find(([, lane]) => lane.processId === processId) ?? [];
        if (of !== undefined) add({ kind: "cancel", connection, of });
      } else if (name === "GSSENCRequest") {
        lane.asksForGss = true;
      } else if (name === "StartupMessage") {
        add({ kind: "connect", connection, parameters: readParameters(body), asksForGss: lane.asksForGss });
      } else if (type !== "" && type !== "p") {
        const head = Buffer.alloc(5);
        head.write(type, "latin1");
        head.writeInt32BE(body.length + 4, 1);
        add({ kind: "send", connection, bytes: Buffer.concat([head, body]) });
      }
    }
  }

  /** A server may keep a reply back until the client asks for it. */
  #counts(connection: number, lane: ClientLane, name: string): void {
    lane.early++;
    if (!lane.hasFlushed && !flushed.has(name)) return;
    this.#came.set(connection, (this.#came.get(connection) ?? 0) + lane.early);
    lane.early = 0;
  }

  #gets(connection: number, lane: ClientLane, messages: readonly WireMessage[]): void {
    for (const message of messages) {
      if (message.name === "BackendKeyData") lane.processId = message.body.readInt32BE(0);
      if (lane.state === "open" && isReply(message)) this.#counts(connection, lane, message.name);
      if (lane.state === "login" && message.name === "ReadyForQuery") lane.state = "open";
    }
    const last = this.#steps.at(-1);
    if (messages.length > 0 && last?.connection === connection) last.isAnswered = true;
  }
}

/** After these, and with these replies, PostgreSQL sends what it has. */
const flushes: ReadonlySet<string> = new Set([
  "Sync",
  "Flush",
  "Query",
  "FunctionCall",
  "CopyData",
  "CopyDone",
  "CopyFail",
]);
const flushed: ReadonlySet<string> = new Set(["ErrorResponse", "CopyInResponse", "ReadyForQuery"]);

function readParameters(body: Buffer): Record<string, string> {
  const words = body.toString("utf8", 4).split("\0");
  const parameters: Record<string, string> = {};
  for (let at = 0; at + 1 < words.length && words[at] !== ""; at += 2) parameters[words[at]!] = words[at + 1]!;
  return parameters;
}
