/**
 * One client's calls of the server's own functions, which PostgreSQL does not see.
 *
 * Owns: the messages of such calls, by either protocol, and their answers; their order among what PostgreSQL answers. Does not own: which texts
 * are calls (`read-call.ts`), what they do (`../../thread/server-functions.ts`).
 * Invariant: a pipeline is all of calls, or all PostgreSQL's: what its first message decides that is no Close. A call begins when PostgreSQL has
 * answered all that was sent before, and nothing that was sent behind it begins before its answer.
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
import { encodeBind, encodeClose, encodeExecute, encodeMessage, encodeParse, encodeSync } from "../../wire/frontend.ts";
import { MessageReader } from "../../wire/message-reader.ts";
import { readDataRow } from "../../wire/query-results.ts";
import type { ClientSession } from "../client-session.ts";
import { type OwnCall, type OwnFunctionName, readCall } from "./read-call.ts";

/** Who calls a function. */
interface Caller {
  readonly client: ClientSession;
  readonly database: string;
  /** Given when the client cancels the call: what it waits for is not waited for any more. */
  readonly signal: AbortSignal;
}

/** Runs a function for a client; `argument` as PostgreSQL has made it of what was given. Rejects with what it is told, with a `code`. */
export type RunOwnFunction = (name: OwnFunctionName, argument: string, caller: Caller) => Promise<string>;

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

/** An identifier without quotes is the same one in capitals. */
const mention = /pglite_devdb\./i;
/** The name of the question in the client's session. */
const own = "pglite_devdb.call";
/**
 * What PostgreSQL has under the name of a prepared call, so that it knows that the name is taken, and when it is not any more (DISCARD ALL,
 * DEALLOCATE). It takes this without looking, and does nothing for it but say that there is no such statement.
 */
const kept = `execute "${own}" -- a call of pglite_devdb, which the server answers`;
const isKept = `select from pg_catalog.pg_prepared_statements
  where name operator(pg_catalog.=) $1::pg_catalog.text and statement operator(pg_catalog.=) '${kept}'::pg_catalog.text`;
const noValues = Buffer.concat([int16(0), int16(0)]);
const noTypes = int16(0);
/** In bytes. A text may be longer than any string can be. */
const longestCall = 10_000;

/** Whether a batch may have a call. */
export function mentionsCalls({ frames }: Batch): boolean {
  return frames.some((frame) => mayBeCall(frame) && mention.test(bufferOf(frame.bytes).toString("latin1")));
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
  /** The names of statements that may be calls when all that was sent is answered: what follows begins by them, and is decided upon when its turn comes. */
  readonly #sent = new Set<string>();
  /** Whose the open pipeline is, as it is sent. */
  #owner: "calls" | "postgres" | undefined;
  /** The pipeline of calls that is answered. What follows an error is skipped until its end. */
  #pipeline: "begins" | "goes on" | "has failed" = "begins";
  /** Of the function that runs. */
  #running: AbortController | undefined;
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
      const isCall = this.#isCall(frames, at);
      let end = at;
      const part: Frame[] = [];
      while (end < frames.length && (end === at || this.#isCall(frames, end) === isCall)) {
        const frame = frames[end++]!;
        part.push(frame);
        this.#noteSent(frame, isCall);
        if (!isPipelineEnd(frame.type)) continue;
        this.#owner = undefined;
        if (isCall) break;
      }
      at = end;
      submitted = isCall ? this.#after(() => this.#call(part)) : this.#pass(part);
    }
    return submitted;
  }

  /** Ends the function that runs; false if none does. One that has begun to do its work does it. */
  cancel(): boolean {
    this.#running?.abort(new SqlStateError("57014", "canceling statement due to user request"));
    return this.#running !== undefined;
  }

  /** Of the first message of a pipeline; what follows goes with it. */
  #isCall(frames: readonly Frame[], at: number): boolean {
    if (isNeutral(frames[at]!.type) && this.#owner === undefined) return false;
    this.#owner ??= this.#begins(decisive(frames, at)) ? "calls" : "postgres";
    return this.#owner === "calls";
  }

  #begins(frame: Frame): boolean {
    const { type, bytes } = frame;
    if (type === Type.Query || type === Type.Parse) {
      if (!mayBeCall(frame)) return false;
      const [first, second] = texts(bufferOf(bytes), 5);
      return readCall(type === Type.Query ? first : second) !== undefined;
    }
    const name = statementOf(frame);
    return name !== undefined && this.#sent.has(name);
  }

  /** At once: what comes next may use it before this is answered. */
  #noteSent({ type, bytes }: Frame, isCall: boolean): void {
    if (type !== Type.Parse) return;
    const [name, sql] = texts(bufferOf(bytes).subarray(0, longestCall), 5);
    if (isCall && readCall(sql)) this.#sent.add(name);
    // One with a name stays a call: PostgreSQL refuses to have another one of that name, unless that of the call is gone.
    else if (name === "") this.#sent.delete(name);
  }

  #pass(frames: readonly Frame[]): Promise<void> {
    if (!this.#last) return this.#give(frames);
    // It is waited for by nobody here: what comes behind it may be what it waits for.
    return this.#after(async () => void this.#give(frames));
  }

  #give(frames: readonly Frame[]): Promise<void> {
    // What PostgreSQL is given takes the place of a call without a name, or closes it.
    const isUnnamed = ({ type, bytes }: Frame) =>
      type === Type.Parse ? bytes[5] === 0 : type === Type.Close && bytes[5] === ofStatement && bytes[6] === 0;
    if (frames.some(isUnnamed)) this.#statements.delete("");
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

  /** A pipeline, or a part of one. */
  async #call(frames: readonly Frame[]): Promise<void> {
    await this.#passed;
    // Data of a COPY may come next: whatever comes instead is for PostgreSQL to refuse, and nothing else ends its wait.
    if (!this.#client.isMidway && (await this.#isOurs(decisive(frames, 0)))) return this.#answer(frames);
    void this.#give(frames);
  }

  /** Whether the statement that a pipeline begins with is still a call. */
  async #isOurs(frame: Frame): Promise<boolean> {
    const name = this.#pipeline === "begins" ? statementOf(frame) : undefined;
    if (name === undefined) return true;
    if (!this.#statements.has(name)) return false;
    if (name === "") return true;
    const look = [encodeParse(own, isKept), encodeBind(own, own, [name]), encodeExecute(own)];
    const found = await this.#aside(...look).catch(() => undefined);
    // PostgreSQL says why not, that a transaction has failed for example.
    if (!found) return false;
    const isThere = found.some(({ type }) => type === "D");
    if (!isThere) this.#statements.delete(name);
    return isThere;
  }

  async #answer(frames: readonly Frame[]): Promise<void> {
    for (const { type, bytes } of frames) {
      const isEnd = isPipelineEnd(type);
      if (this.#pipeline !== "has failed") {
        this.#pipeline = "goes on";
        const answer = this.#message(type, bufferOf(bytes)).catch((error: Error) => this.#fail(error));
        this.#client.output.write(await answer);
      }
      if (!isEnd) continue;
      this.#pipeline = "begins";
      this.#portals.clear();
      this.#client.output.write(encodeMessage("Z", Buffer.from(this.#client.status)));
    }
    this.#client.output.flush();
  }

  /** As with any error, its transaction has failed. */
  async #fail(error: Error & { code?: string }): Promise<Buffer> {
    this.#pipeline = "has failed";
    if (error instanceof Told) return error.bytes;
    // There is no such statement: PostgreSQL's own error, which nobody hears of, is what it takes.
    if (this.#client.status === "T") await this.#aside(encodeBind(own, own, [])).catch(() => undefined);
    return encodeError(error.code ?? "22023", error.message);
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
      if (first !== "") await this.#aside(encodeParse(first, kept));
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
      // It may be PostgreSQL's: a driver closes what it has no use for any more in front of what it asks next.
      await this.#aside(encodeClose(isStatement ? "S" : "P", name));
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
    const running = new AbortController();
    this.#running = running;
    try {
      const result = Buffer.from(await this.#result(bound, running.signal));
      const row = encodeMessage("D", int16(1), int32(result.length), result);
      return Buffer.concat([before, row, encodeMessage("C", "SELECT 1")]);
    } finally {
      this.#running = undefined;
    }
  }

  async #result(bound: Bound, signal: AbortSignal): Promise<string> {
    const { name, waitsForTransactions } = bound.call;
    if (waitsForTransactions && this.#client.status === "T")
      throw new SqlStateError("25001", `pglite_devdb.${name} cannot run inside a transaction block`);
    const bind = encodeMessage("B", own, own, bound.values, int16(0));
    const answer = await this.#ask(bound, bind, encodeExecute(own));
    const [isSuperuser, argument = ""] = readDataRow(answer.find(({ type }) => type === "D")!.body);
    if (isSuperuser !== "on")
      throw new SqlStateError("42501", `permission denied for function ${name}: only a superuser may call it`);
    if (argument === null) throw new SqlStateError("22004", `the argument of ${name} must not be null`);
    signal.throwIfAborted();
    return this.#run(name, argument, { client: this.#client, database: this.#database, signal });
  }

  #ask({ call, types }: Prepared, ...messages: readonly Uint8Array[]) {
    return this.#aside(encodeMessage("P", own, call.question, types), ...messages);
  }

  /** In the client's own session: in its time zone, with its rights. Throws what PostgreSQL says. */
  async #aside(...messages: readonly Uint8Array[]) {
    const forget = [encodeClose("P", own), encodeClose("S", own)];
    const all = Buffer.concat([...forget, ...messages, ...forget, encodeSync()]);
    const answer = await this.#client.runAside(all, true);
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

/**
 * What decides about a pipeline that begins there: what is behind the statements that are closed in front of it. One that does nothing else is
 * PostgreSQL's, which has the names of calls, too.
 */
function decisive(frames: readonly Frame[], at: number): Frame {
  let next = at;
  while (next + 1 < frames.length && frames[next]!.type === Type.Close) next++;
  return frames[next]!;
}

/** The name of the statement that a message is about; undefined for one that has a text, or is about something else. */
function statementOf({ type, bytes }: Frame): string | undefined {
  if (type === Type.Bind) return texts(bufferOf(bytes), 5)[1];
  const isAbout = type === Type.Describe && bytes[5] === ofStatement;
  return isAbout ? texts(bufferOf(bytes), 6)[0] : undefined;
}

/** Two texts that follow each other, and where what is behind them begins: nothing is, where they do not end. */
function texts(bytes: Buffer, at: number): [first: string, second: string, next: number] {
  const end = endOf(bytes, at);
  const secondEnd = endOf(bytes, end + 1);
  return [bytes.toString("utf8", at, end), bytes.toString("utf8", end + 1, secondEnd), secondEnd + 1];
}

function endOf(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(0, at);
  return end === -1 ? bytes.length : end;
}

/** The rest of a Bind, behind its names. Throws where it is not as long as it says. */
function readBind(rest: Buffer): Pick<Bound, "values" | "format"> {
  let at = 0;
  const skip = (length: number): number => {
    at += length;
    if (at > rest.length) throw new SqlStateError("08P01", "insufficient data left in message");
    return at - length;
  };
  const count = () => rest.readUInt16BE(skip(2));
  skip(2 * count());
  for (let values = count(); values > 0; values--) skip(Math.max(0, rest.readInt32BE(skip(4))));
  const end = at;
  const formats = count();
  const first = skip(2 * formats);
  if (at !== rest.length) throw new SqlStateError("08P01", "invalid message format");
  return { values: Uint8Array.from(rest.subarray(0, end)), format: formats > 0 ? rest.readInt16BE(first) : 0 };
}
