/**
 * The queue for engines that have a PostgreSQL session for each connection: nobody waits for anybody here.
 *
 * Owns: the connection's end of its session: its start on first need, when its batches have run, what a CancelRequest
 * means. Does not own: sessions and who runs next (`engine/thread/`), sockets (the library).
 * Invariant: a batch is settled when PostgreSQL has read it all and asks for more; a session ends with its connection.
 */
import { timingSafeEqual } from "node:crypto";
import {
  type Activity,
  type Batch,
  crashOf,
  type EngineDeath,
  Output,
  ReplyReader,
  type SocketConnection,
  type SocketQueue,
  type TransactionStatus,
} from "@electric-sql/pglite-socket";
import type { Engine, EngineSession } from "../engine/engine.ts";
import { encodeMessage } from "../wire/frontend.ts";
import { readLogin, readParameterStatus } from "./login-answer.ts";

/** Startup parameters that PostgreSQL takes from anybody, and whose effect on the login answer is known here. */
const harmless: ReadonlySet<string> = new Set(["user", "database", "application_name", "client_encoding"]);
/** The number of the session that tells what a login answers; below those of clients. */
const probeNumber = 998;
// How long a statement runs on when its client has gone, in ms.
const abandonedAfterMs = 200;
// How long clients at most wait for the answers to what runs when the server stops, in ms.
const quiesceMs = 1000;

type Open = NonNullable<Engine["openSession"]>;

/** See the head of the file. */
export class IsolatedQueue implements SocketQueue {
  readonly #engine: Engine;
  readonly #open: Open;
  readonly #members = new Map<SocketConnection, Member>();
  #parameters: ReadonlyMap<string, string> = new Map();
  #unlisten: (() => void) | undefined;

  /** `engine` must have sessions. */
  constructor(engine: Engine) {
    const { openSession } = engine;
    if (!openSession) throw new Error("this engine has one session for all");
    this.#engine = engine;
    this.#open = (...parameters) => openSession.apply(engine, parameters);
  }

  get length(): number {
    return [...this.#members.values()].filter((member) => member.isWaiting).length;
  }

  /** Learns what PostgreSQL says at a login from one of its own. */
  async open(): Promise<void> {
    this.#unlisten ??= this.#engine.onDeath((death) => this.#died(death));
    this.#parameters = await new Promise((resolve, reject) => {
      const parameters = new Map([
        ["user", "postgres"],
        ["database", "postgres"],
      ]);
      const session = this.#open(probeNumber, parameters, {
        onOpened: (answer) => {
          resolve(readLogin(answer).parameters);
          void session.close();
        },
        onOutput: () => {},
        onPause: () => {},
        onProgress: () => {},
        onEnded: (words) => reject(new Error(`PostgreSQL refused a session: ${words.toString("latin1")}`)),
        onGone: reject,
      });
    });
  }

  /** Waits for the engine only where PostgreSQL has to decide: about another user or database, or settings. */
  async attach(connection: SocketConnection): Promise<ReadonlyMap<string, string>> {
    // After a death of the engine this waits for the new one.
    await this.#engine.runExclusive(() => Promise.resolve());
    const member = new Member(connection, (events) => {
      return this.#open(connection.processId, connection.parameters, events);
    });
    this.#members.set(connection, member);
    const { parameters } = connection;
    const application = parameters.get("application_name") ?? "";
    const usual = new Map([...this.#parameters, ["application_name", application]]);
    const encoding = (parameters.get("client_encoding") ?? "UTF8").replaceAll(/['-]/g, "").toUpperCase();
    const isKnown = parameters.get("user") === "postgres" && parameters.get("database") === "postgres";
    const isUtf8 = ["UTF8", "UNICODE", "AUTO"].includes(encoding);
    const isEasy = isKnown && isUtf8 && [...parameters.keys()].every((name) => harmless.has(name));
    const statuses = isEasy ? usual : ((await member.login()) ?? usual);
    member.told = new Map(statuses);
    return statuses;
  }

  submit(connection: SocketConnection, batch: Batch): Promise<void> {
    return this.#members.get(connection)?.submit(batch) ?? Promise.resolve();
  }

  isMidway(connection: SocketConnection): boolean {
    return this.#members.get(connection)?.isMidway ?? false;
  }

  activity(): Activity[] {
    return [...this.#members.values()].map((member) => member.activity());
  }

  cancel(processId: number, secretKey: Uint8Array): void {
    for (const [{ processId: id, secretKey: key }, member] of this.#members) {
      if (id === processId && key.length === secretKey.length && timingSafeEqual(key, secretKey)) member.cancel();
    }
  }

  /**
   * Ends all sessions before their clients are told that the server stops: what runs is ended as PostgreSQL does on SIGTERM,
   * so that a COMMIT is answered or has not happened. What has not begun to run does not run.
   */
  async quiesce(): Promise<void> {
    const ends = [...this.#members.values()].map((member) => member.end());
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, quiesceMs);
    });
    await Promise.race([Promise.all(ends), limit]);
    clearTimeout(timer);
  }

  async detach(connection: SocketConnection): Promise<void> {
    const member = this.#members.get(connection);
    this.#members.delete(connection);
    await member?.leave();
  }

  async close(): Promise<void> {
    this.#unlisten?.();
    this.#unlisten = undefined;
    await Promise.all([...this.#members.keys()].map((connection) => this.detach(connection)));
  }

  #died(death: EngineDeath): void {
    for (const connection of [...this.#members.keys()]) connection.terminate(crashOf(death));
  }
}

/** One connection and its session. */
class Member {
  readonly #connection: SocketConnection;
  readonly #start: (events: Parameters<Open>[2]) => EngineSession;
  readonly #output: Output;
  readonly #reader: ReplyReader;
  #session: EngineSession | undefined;
  #waiting: { readonly end: number; readonly done: () => void }[] = [];
  #opened: ((answer: ReadonlyMap<string, string> | undefined) => void) | undefined;
  #state: "attached" | "gone" = "attached";
  /** Whether its session is being ended here: then its end is no news. */
  #isEnding = false;
  /** Whether its client gets nothing more of what the session says. */
  #isMuted = false;
  #status: TransactionStatus = "I";
  #pipelineOpen = false;
  #hungry = false;
  /** Counts the ends of what it asked for: ReadyForQuery, and errors. */
  #answered = 0;
  /** How many ReadyForQuery it is still to get. More than that after a Sync that a COPY has swallowed. */
  #due = 0;
  #isSending = false;
  #unacknowledged = 0;
  #isAcknowledging = false;
  #statement = "";
  #since = Date.now();
  /** The ParameterStatus values that the client knows. */
  told = new Map<string, string>();

  constructor(connection: SocketConnection, start: (events: Parameters<Open>[2]) => EngineSession) {
    this.#connection = connection;
    this.#start = start;
    this.#output = new Output(connection);
    this.#reader = new ReplyReader(
      {
        verdict: (type) => (inspected.has(type) ? "inspect" : "forward"),
        inspect: (type, message) => this.#answer(type, message),
      },
      (bytes) => this.#output.write(bytes),
    );
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0 && this.#session?.isRunning !== true;
  }

  get isMidway(): boolean {
    return this.#hungry || this.#pipelineOpen || (this.#waiting.length > 0 && this.#unacknowledged > 0);
  }

  activity(): Activity {
    const connection = this.#connection;
    const idle = this.#status === "I" ? "idle" : "idle in transaction";
    const busy = this.#session?.isRunning ? "running" : "waiting";
    return {
      processId: connection.processId,
      user: connection.parameters.get("user") ?? "",
      applicationName: connection.parameters.get("application_name") ?? "",
      state: this.#waiting.length > 0 ? busy : idle,
      statement: this.#statement,
      forMs: Date.now() - this.#since,
    };
  }

  /** Starts the session now; resolves with its ParameterStatus, or undefined if PostgreSQL refused the client. */
  login(): Promise<ReadonlyMap<string, string> | undefined> {
    return new Promise((resolve) => {
      this.#opened = resolve;
      this.#begin();
    });
  }

  submit({ frames, bytes }: Batch): Promise<void> {
    if (this.#state === "gone") return Promise.resolve();
    const session = this.#session ?? this.#begin();
    if (!session) return Promise.resolve();
    const last = frames.at(-1)!.type;
    if (!copyTypes.has(last)) this.#pipelineOpen = !pipelineEnds.has(last);
    this.#statement = statementOf(frames) ?? this.#statement;
    this.#since = Date.now();
    this.#hungry = false;
    this.#due += frames.filter(({ type }) => pipelineEnds.has(type)).length;
    const owned = Buffer.from(bytes);
    return new Promise((done) => {
      // What came before it may be reported as done, and it may be answered, before `send` comes back.
      this.#isSending = true;
      const end = session.send(owned);
      this.#isSending = false;
      if (this.#reached !== end) {
        this.#waiting.push({ end, done });
        return;
      }
      done();
      this.#forgetDue();
    });
  }

  #reached: number | undefined;

  /** Ends exactly the statement that runs or waits now. */
  cancel(): void {
    const session = this.#session;
    // A batch that was answered to its end may not have been reported as done: the next cancel would be for what follows.
    const isOwed = this.#due > 0 || this.#pipelineOpen;
    if (!session || this.#waiting.length === 0 || !isOwed) return;
    const answered = this.#answered;
    const stillWanted = (): boolean =>
      this.#state === "attached" && this.#answered === answered && this.#waiting.length > 0;
    session.interrupt(stillWanted);
  }

  async leave(): Promise<void> {
    this.#state = "gone";
    this.#settle(() => true);
    this.#opened?.(undefined);
    await this.end();
  }

  /** Ends the session; its client is told by whoever calls this. */
  async end(): Promise<void> {
    const session = this.#session;
    this.#isEnding = true;
    if (!session) return;
    let isClosed = false;
    // A statement that computes does not hear that its client has gone; as with client_connection_check_interval.
    const timer = setTimeout(() => {
      // That its statement was cancelled is nothing that a client asked for.
      this.#isMuted = true;
      session.interrupt(() => !isClosed);
    }, abandonedAfterMs);
    await session.close();
    isClosed = true;
    clearTimeout(timer);
  }

  #begin(): EngineSession | undefined {
    try {
      this.#session = this.#start({
        onOpened: (answer) => this.#begun(readLogin(answer).parameters),
        onOutput: (data) => this.#take(data),
        onPause: () => this.#output.flush(),
        onProgress: (position, isMidway) => this.#progress(position, isMidway),
        onEnded: (words) => this.#ended(words),
        onGone: () => {},
      });
      return this.#session;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#connection.terminate({
        severity: "FATAL",
        code: "57P03",
        message: `the database system is starting up: ${message}`,
      });
      return undefined;
    }
  }

  #begun(parameters: ReadonlyMap<string, string>): void {
    if (this.#opened) {
      this.#opened(parameters);
      this.#opened = undefined;
      return;
    }
    // A session that begins late may have settings, of its role for example, that the login answer could not know.
    for (const [name, value] of parameters) {
      if (this.#isNews(name, value)) this.#output.write(encodeMessage("S", name, value));
    }
  }

  #take(data: Uint8Array): void {
    if (!this.#isMuted) this.#reader.feed(data);
    this.#unacknowledged += data.length;
    if (this.#unacknowledged >= acknowledgeBytes && !this.#isAcknowledging) void this.#acknowledge();
  }

  /** Acknowledges what has come as soon as the client has read enough of it. */
  async #acknowledge(): Promise<void> {
    this.#isAcknowledging = true;
    await this.#connection.drained();
    this.#isAcknowledging = false;
    // More may come before `acknowledge` returns.
    const bytes = this.#unacknowledged;
    this.#unacknowledged = 0;
    this.#session?.acknowledge(bytes);
  }

  #answer(type: number, message: Uint8Array): Uint8Array | undefined {
    if (type === 0x53) return this.#isNews(...readParameterStatus(message.subarray(5))) ? undefined : nothing;
    this.#answered++;
    if (type !== 0x5a) return undefined;
    this.#due = Math.max(0, this.#due - 1);
    this.#status = String.fromCharCode(message[5]!) as TransactionStatus;
    return undefined;
  }

  // Engine: PGlite reports a setting that was set, PostgreSQL one that has another value than it reported before.
  #isNews(name: string, value: string): boolean {
    if (this.told.get(name) === value) return false;
    this.told.set(name, value);
    return true;
  }

  #progress(position: number, isMidway: boolean): void {
    this.#reached = position;
    this.#hungry = isMidway;
    this.#since = Date.now();
    this.#settle(({ end }) => ((position - end) | 0) >= 0);
    this.#forgetDue();
  }

  #forgetDue(): void {
    if (this.#waiting.length === 0 && !this.#hungry && !this.#isSending) this.#due = 0;
  }

  #settle(isOver: (batch: { end: number }) => boolean): void {
    const over = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter((batch) => !isOver(batch));
    for (const { done } of over) done();
  }

  // PostgreSQL has said why: as output, or as its refusal of a session that was begun late.
  #ended(words: Buffer): void {
    const { error } = readLogin(words);
    if (error && !this.#isEnding) this.#connection.terminate(error);
    else if (!this.#isEnding) this.#connection.finish();
    this.#opened?.(undefined);
    this.#settle(() => true);
  }
}

// ReadyForQuery, ErrorResponse, ParameterStatus.
const inspected: ReadonlySet<number> = new Set(Buffer.from("ZES"));
const nothing = new Uint8Array(0);
// Sync, Query, FunctionCall: each is answered with a ReadyForQuery.
const pipelineEnds: ReadonlySet<number> = new Set(Buffer.from("SQF"));
// Output is acknowledged in pieces, not for every row. The session waits when it has eight of them under way.
const acknowledgeBytes = 256 * 1024;
// CopyData, CopyDone, CopyFail, Flush: they neither begin nor end a pipeline.
const copyTypes: ReadonlySet<number> = new Set(Buffer.from("dcf"));

/** The beginning of the last Query or Parse. */
function statementOf(frames: Batch["frames"]): string | undefined {
  const frame = frames.findLast(({ type }) => type === 0x51 || type === 0x50);
  if (!frame) return undefined;
  const start = frame.type === 0x51 ? 5 : frame.bytes.indexOf(0, 5) + 1;
  const text = Buffer.from(frame.bytes.subarray(start, start + 120))
    .toString("utf8")
    .split("\0")[0]!;
  return text.replaceAll(/\s+/g, " ").trim();
}
