/**
 * One client's calls of the server's own functions, which PostgreSQL does not see.
 *
 * Owns: the messages of such calls, by either protocol, and their answers; their order among what PostgreSQL answers. Does not own: which texts
 * are calls (`read-call.ts`), what they do (`../../thread/server-functions.ts`).
 * Invariant: a pipeline is all of calls, or all PostgreSQL's: what its first message decides. A call begins when PostgreSQL has answered all that was
 * sent before, and nothing that was sent behind it begins before its answer.
 */
import type { Batch, SocketConnection } from "@electric-sql/pglite-socket";
import { SqlStateError } from "../../errors.ts";
import {
  encodeError,
  type Frame,
  int16,
  int32,
  isNeutral,
  isPipelineEnd,
  ofStatement,
  Type,
} from "../../wire/frames.ts";
import { encodeClose, encodeExecute, encodeMessage, encodeSync } from "../../wire/frontend.ts";
import { MessageReader } from "../../wire/message-reader.ts";
import { readDataRow } from "../../wire/query-results.ts";
import type { ClientSession } from "../client-session.ts";
import { type OwnCall, type OwnFunctionName, readCall } from "./read-call.ts";

/** Runs a function for a client; `argument` as PostgreSQL has made it of what was given. Rejects with what it is told, with a `code`. */
export type RunOwnFunction = (
  name: OwnFunctionName,
  argument: string,
  client: ClientSession,
  database: string,
) => Promise<string>;

/** A prepared call: its text, and the types of its parameters as they were sent. */
interface Prepared {
  readonly call: OwnCall;
  readonly types: Uint8Array;
}

/** A call with the values of its parameters as they were sent, and the format of its result. */
interface Bound extends Prepared {
  readonly values: Uint8Array;
  readonly format: number;
}

const mentions = ["pglite_devdb.", "PGLITE_DEVDB."].map((text) => Buffer.from(text));
/** The name of the question in the client's session. */
const own = "pglite_devdb";
const noValues = Buffer.concat([int16(0), int16(0)]);
const noTypes = int16(0);
/** In bytes. A text may be longer than any string can be. */
const longestCall = 10_000;

/** Whether a batch may have a call. */
export function mentionsCalls({ frames }: Batch): boolean {
  return frames.some(
    (frame) => mayBeCall(frame) && mentions.some((mention) => bufferOf(frame.bytes).includes(mention)),
  );
}

/** Whether it has a text that is no longer than a call. */
function mayBeCall({ type, bytes }: Frame): boolean {
  return (type === Type.Query || type === Type.Parse) && bytes.length <= longestCall;
}

/** See the head of the file. */
export class OwnCalls {
  readonly #connection: SocketConnection;
  readonly #client: ClientSession;
  readonly #run: RunOwnFunction;
  readonly #statements = new Map<string, Prepared>();
  readonly #portals = new Map<string, Bound>();
  /** The names that will be calls when all that was sent is answered: what follows goes by them, what is answered by those above. */
  readonly #sent = { statements: new Set<string>(), portals: new Set<string>() };
  /** Whose the open pipeline is. */
  #owner: "calls" | "postgres" | undefined;
  /** What follows an error is skipped until the pipeline's end. */
  #hasFailed = false;
  /** Settled when all calls so far are answered; undefined when they are. */
  #last: Promise<void> | undefined;
  /** Settled when PostgreSQL has read what it was given last, and wants more or is ready. */
  #passed: Promise<void> = Promise.resolve();

  constructor(connection: SocketConnection, client: ClientSession, run: RunOwnFunction) {
    this.#connection = connection;
    this.#client = client;
    this.#run = run;
  }

  /** Every batch of the client from its first call on. */
  submit({ frames }: Batch): Promise<void> {
    let submitted: Promise<void> = Promise.resolve();
    for (let at = 0; at < frames.length; ) {
      const isCall = this.#isCall(frames[at]!);
      let end = at;
      const part: Frame[] = [];
      while (end < frames.length && (end === at || this.#isCall(frames[end]!) === isCall)) {
        const frame = frames[end++]!;
        part.push(frame);
        this.#noteSent(frame, isCall);
        if (!isPipelineEnd(frame.type)) continue;
        this.#owner = undefined;
        // A call's portal does not outlive its pipeline.
        this.#sent.portals.clear();
      }
      at = end;
      submitted = isCall ? this.#after(() => this.#call(part)) : this.#pass(part);
    }
    return submitted;
  }

  /** Of the first message of a pipeline; what follows goes with it. */
  #isCall(frame: Frame): boolean {
    if (isNeutral(frame.type) && this.#owner === undefined) return false;
    this.#owner ??= this.#begins(frame) ? "calls" : "postgres";
    return this.#owner === "calls";
  }

  #begins(frame: Frame): boolean {
    const { type } = frame;
    const bytes = bufferOf(frame.bytes);
    if (type === Type.Query || type === Type.Parse) {
      if (!mayBeCall(frame)) return false;
      const [first, second] = texts(bytes, 5);
      return readCall(type === Type.Query ? first : second) !== undefined;
    }
    const [first, second] = texts(bytes, 5);
    if (type === Type.Bind) return this.#sent.statements.has(second);
    if (type === Type.Execute) return this.#sent.portals.has(first);
    if (type !== Type.Describe && type !== Type.Close) return false;
    const [name] = texts(bytes, 6);
    return (bytes[5] === ofStatement ? this.#sent.statements : this.#sent.portals).has(name);
  }

  /** At once: what comes next may use it before this is answered. */
  #noteSent({ type, bytes }: Frame, isCall: boolean): void {
    if (type !== Type.Parse && type !== Type.Bind) return;
    const [name, sql] = texts(bufferOf(bytes).subarray(0, longestCall), 5);
    const names = type === Type.Parse ? this.#sent.statements : this.#sent.portals;
    if (isCall && (type === Type.Bind || readCall(sql))) names.add(name);
    else names.delete(name);
  }

  /** What PostgreSQL is given takes the name from a call. */
  #forget(frames: readonly Frame[]): void {
    for (const { type, bytes } of frames) {
      if (type !== Type.Parse && type !== Type.Bind) continue;
      const [name] = texts(bufferOf(bytes), 5);
      (type === Type.Parse ? this.#statements : this.#portals).delete(name);
    }
  }

  #pass(frames: readonly Frame[]): Promise<void> {
    if (!this.#last) return this.#give(frames);
    // It is waited for by nobody here: what comes behind it may be what it waits for.
    return this.#after(async () => void this.#give(frames));
  }

  #give(frames: readonly Frame[]): Promise<void> {
    this.#forget(frames);
    this.#passed = this.#client.submit({ frames, bytes: Buffer.concat(frames.map(({ bytes }) => bytes)) });
    return this.#passed;
  }

  #after(work: () => Promise<void>): Promise<void> {
    const done = (this.#last ?? Promise.resolve()).then(work);
    this.#last = done;
    void done.finally(() => {
      if (this.#last === done) this.#last = undefined;
    });
    return done;
  }

  async #call(frames: readonly Frame[]): Promise<void> {
    await this.#passed;
    if (!this.#client.isMidway) return this.#answer(frames);
    // Data of a COPY comes next: whatever comes instead is for PostgreSQL to refuse, and nothing else ends its wait.
    void this.#give(frames);
  }

  async #answer(frames: readonly Frame[]): Promise<void> {
    for (const { type, bytes } of frames) {
      const isEnd = isPipelineEnd(type);
      if (!this.#hasFailed) {
        const answer = await this.#message(type, bufferOf(bytes)).catch((error: Error & { code?: string }) => {
          this.#hasFailed = true;
          return error instanceof Told ? error.bytes : encodeError(error.code ?? "22023", error.message);
        });
        this.#client.output.write(answer);
      }
      if (!isEnd) continue;
      this.#hasFailed = false;
      this.#portals.clear();
      this.#client.output.write(encodeMessage("Z", Buffer.from(this.#client.status)));
    }
    this.#client.output.flush();
  }

  async #message(type: number, bytes: Buffer): Promise<Buffer> {
    const [first, second, next] = texts(bytes, 5);
    if (type === Type.Query) {
      const call = readCall(first)!;
      return this.#execute({ call, types: noTypes, values: noValues, format: 0 }, call.describe(0));
    }
    if (type === Type.Parse) {
      const call = readCall(second);
      if (!call)
        throw new SqlStateError("0A000", "a call of pglite_devdb stands alone: send a Sync before other statements");
      this.#statements.set(first, { call, types: bytes.subarray(next) });
      return encodeMessage("1");
    }
    if (type === Type.Bind) {
      this.#portals.set(first, {
        ...found(this.#statements, second, "prepared statement"),
        ...readBind(bytes.subarray(next)),
      });
      return encodeMessage("2");
    }
    if (type === Type.Execute) return this.#execute(found(this.#portals, first, "portal"));
    const [name] = texts(bytes, 6);
    const isStatement = bytes[5] === ofStatement;
    if (type === Type.Close) {
      (isStatement ? this.#statements : this.#portals).delete(name);
      return encodeMessage("3");
    }
    if (type !== Type.Describe) return Buffer.alloc(0);
    if (!isStatement) {
      const { call, format } = found(this.#portals, name, "portal");
      return call.describe(format);
    }
    const prepared = found(this.#statements, name, "prepared statement");
    const answer = await this.#ask(prepared, encodeMessage("D", `S${own}`));
    const parameters = answer.find(({ type: kind }) => kind === "t")!;
    return Buffer.concat([encodeMessage("t", parameters.body), prepared.call.describe(0)]);
  }

  async #execute(bound: Bound, before: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    const bind = encodeMessage("B", own, own, bound.values, int16(0));
    const answer = await this.#ask(bound, bind, encodeExecute(own));
    const [isSuperuser, argument = ""] = readDataRow(answer.find(({ type }) => type === "D")!.body);
    const { name } = bound.call;
    if (isSuperuser !== "on")
      throw new SqlStateError("42501", `permission denied for function ${name}: only a superuser may call it`);
    if (argument === null) throw new SqlStateError("22004", `the argument of ${name} must not be null`);
    const result = Buffer.from(await this.#run(name, argument, this.#client, this.#database));
    const row = encodeMessage("D", int16(1), int32(result.length), result);
    return Buffer.concat([before, row, encodeMessage("C", "SELECT 1")]);
  }

  /** In the client's own session: in its time zone, with its rights. Throws what PostgreSQL says. */
  async #ask({ call, types }: Prepared, ...messages: readonly Uint8Array[]) {
    const parse = encodeMessage("P", own, call.question, types);
    const forget = [encodeClose("P", own), encodeClose("S", own)];
    const answer = await this.#client.runAside(
      Buffer.concat([...forget, parse, ...messages, ...forget, encodeSync()]),
      true,
    );
    if (!answer) throw new SqlStateError("57P01", "the connection has no session");
    const said = new MessageReader().push(answer);
    const error = said.find(({ type }) => type === "E");
    if (error) throw new Told(encodeMessage("E", error.body));
    return said;
  }

  get #database(): string {
    const { parameters } = this.#connection;
    return parameters.get("database") ?? parameters.get("user") ?? "postgres";
  }
}

/** An error in PostgreSQL's words. */
class Told extends Error {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    super("PostgreSQL has said why");
    this.bytes = bytes;
  }
}

function found<T>(among: ReadonlyMap<string, T>, name: string, kind: keyof typeof missing): T {
  const there = among.get(name);
  if (!there) throw new SqlStateError(missing[kind], `${kind} "${name}" does not exist`);
  return there;
}

/** `ERRCODE_UNDEFINED_PSTATEMENT`, `ERRCODE_UNDEFINED_CURSOR`. */
const missing = { "prepared statement": "26000", portal: "34000" } as const;

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Two texts that follow each other, and where what is behind them begins. */
function texts(bytes: Buffer, at: number): [first: string, second: string, next: number] {
  const end = bytes.indexOf(0, at);
  const secondEnd = bytes.indexOf(0, end + 1);
  return [bytes.toString("utf8", at, end), bytes.toString("utf8", end + 1, secondEnd), secondEnd + 1];
}

/** The rest of a Bind, behind its names. */
function readBind(rest: Buffer): Pick<Bound, "values" | "format"> {
  let at = 2 + 2 * rest.readInt16BE(0);
  const count = rest.readInt16BE(at);
  at += 2;
  for (let parameter = 0; parameter < count; parameter++) at += 4 + Math.max(0, rest.readInt32BE(at));
  const format = rest.readInt16BE(at) > 0 ? rest.readInt16BE(at + 2) : 0;
  return { values: Uint8Array.from(rest.subarray(0, at)), format };
}
