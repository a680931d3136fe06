/**
 * One client and its PostgreSQL session: input, turn, output, one write to the socket.
 *
 * Owns: the session's start on first need, its input and output, when a batch has run, what a cancel is for, its end. Does not own:
 * turns (`sessions/`), the socket and its backpressure (the library). Invariant: `#state` says what may happen next. A batch is settled
 * when PostgreSQL has read it and asks for more; a session whose client does not read is parked; after `ending` none of its input begins.
 */
import type { Batch, ErrorFields, SocketConnection, TransactionStatus } from "@electric-sql/pglite-socket";
import type { ConnectionActivity } from "../engine/listener.ts";
import { within } from "../engine/within.ts";
import { limits } from "../limits.ts";
import { PendingInput } from "../sessions/pending-input.ts";
import type { Session, SessionOutput, SessionOwner } from "../sessions/session.ts";
import type { ClientState } from "../sessions/session-context.ts";
import { isNeutral, isPipelineEnd, Type } from "../wire/frames.ts";
import { encodeMessage } from "../wire/frontend.ts";
import { ReplyReader } from "../wire/reply-reader.ts";
import { explained } from "./calls/explain.ts";
import type { SessionsOf, State } from "./client-state.ts";
import { holdAnswers } from "./held-answers.ts";
import { type Begun, beginSession, hearsOthers, runMessages } from "./kept-state.ts";
import { readLogin, readParameterStatus } from "./login-answer.ts";
import { Output } from "./output.ts";
import { peerOf } from "./peer-of.ts";
import { isFatal, lostState } from "./session-errors.ts";
import { previewOf, readable, shown } from "./statement-preview.ts";

/** See the head of the file. */
export class ClientSession {
  /** The ParameterStatus values that the client knows. */
  told = new Map<string, string>();
  /** Where what it is told leaves. */
  readonly output: Output;
  readonly #connection: SocketConnection;
  readonly #host: SessionsOf;
  readonly #reader: ReplyReader;
  #state: State = "attached";
  #session: Session | undefined;
  /** What it had set up in a session that has gone; "unknown" when that could not be read. */
  #kept: ClientState | "unknown" | undefined;
  /** Whether the session that starts is going to be undone before it has begun. */
  #isUndone = false;
  /** The session while it starts. */
  #begun: Session | undefined;
  #starting: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  #opened: ((parameters: ReadonlyMap<string, string> | undefined) => void) | undefined;
  readonly #input = new PendingInput(() => this.#settle());
  /** For the batches that have come since PostgreSQL last asked for more. */
  #taken: PromiseWithResolvers<void> | undefined;
  #status: TransactionStatus = "I";
  #pipelineOpen = false;
  /** Counts the ends of what it asked for: ReadyForQuery, and errors. */
  #answered = 0;
  /** How many ReadyForQuery it is still to get. More than that after a Sync that a COPY has swallowed, until it is idle. */
  #due = 0;
  #statement: Buffer = empty;
  #application: Buffer;
  #since = Date.now();

  constructor(connection: SocketConnection, host: SessionsOf) {
    this.#connection = connection;
    this.#application = Buffer.from(connection.parameters.get("application_name") ?? "");
    this.#host = host;
    this.output = new Output(connection);
    this.#reader = new ReplyReader(
      {
        verdict: (type) => (inspected.has(type) ? "inspect" : "forward"),
        inspect: (type, message) => this.#inspect(type, message),
      },
      (bytes) => this.output.write(bytes),
    );
  }

  get processId(): number {
    return this.#connection.processId;
  }

  /** Undefined before its first batch, and when it is over. */
  get session(): Session | undefined {
    return this.#session?.state === "ended" ? undefined : this.#session;
  }

  /** Of its transaction. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** Whether it owes something: the rest of a pipeline, or data of a COPY. */
  get isMidway(): boolean {
    return this.#input.isAwaited || this.#pipelineOpen;
  }

  /** Whether it has an answer to all that it has sent, and its transaction is open. */
  get isIdleInTransaction(): boolean {
    return this.#status !== "I" && this.#taken === undefined;
  }

  /** The beginning of the last statement that it sent. */
  get statement(): string {
    return shown(this.#statement);
  }

  get #owner(): SessionOwner {
    return { application: this.#application, statement: this.#statement };
  }

  /** How it is called in a message to another client. */
  describe(): string {
    const name = this.told.get("application_name");
    return `connection ${this.processId}${name ? ` ("${name}")` : ""}`;
  }

  /** Tells its client why it ends, and ends it. */
  terminate(error: ErrorFields): void {
    this.#connection.terminate(error);
  }

  activity(): ConnectionActivity {
    const idle = this.#status === "I" ? "idle" : "idle in transaction";
    const busy = this.#session && this.#host.computes(this.#session) ? "running" : "waiting";
    return {
      processId: this.processId,
      user: this.#connection.parameters.get("user") ?? "",
      applicationName: this.#connection.parameters.get("application_name") ?? "",
      state: this.#taken ? busy : idle,
      statement: readable(this.#statement),
      forMs: Date.now() - this.#since,
    };
  }

  /** Starts the session now; resolves with its ParameterStatus, or undefined if PostgreSQL refused the client. */
  login(): Promise<ReadonlyMap<string, string> | undefined> {
    return new Promise((resolve) => {
      this.#opened = resolve;
      this.#starting = this.#start();
    });
  }

  /** Takes over the bytes. */
  submit({ frames, bytes }: Batch): Promise<void> {
    if (this.#state === "ending" || this.#state === "over") return Promise.resolve();
    const last = frames.findLast(({ type }) => !isNeutral(type));
    if (last) this.#pipelineOpen = !isPipelineEnd(last.type);
    this.#statement = previewOf(frames) ?? this.#statement;
    if (this.#session) this.#session.owner = this.#owner;
    this.#since = Date.now();
    for (const { type } of frames) if (isPipelineEnd(type)) this.#due++;
    this.#taken ??= Promise.withResolvers();
    const { promise } = this.#taken;
    this.#input.add(bytes);
    if (this.#state === "attached") this.#starting = this.#start();
    if (this.#state === "idle") this.#running = this.#run();
    return promise;
  }

  /** Runs messages of ours between two of its batches, unseen by its client but for its settings; undefined if it is not idle, which can be waited for. What it sends meanwhile waits. */
  async runAside(messages: Uint8Array, waits = false): Promise<Buffer | undefined> {
    if (waits) await this.#becomeIdle();
    if (!this.#is("idle")) return undefined;
    this.#state = "running";
    const { status, answer } = await runMessages(this.#session!, messages).catch(this.#crashed);
    if (status === "ended" || !this.#is("running")) return undefined;
    this.#status = status;
    // Its driver may rely on what it was told last.
    this.#tell(readLogin(answer).parameters);
    this.output.flush();
    this.#state = "idle";
    if (this.#input.pending) this.#running = this.#run();
    return answer;
  }

  async #becomeIdle(): Promise<void> {
    if (this.#is("attached")) this.#starting = this.#start();
    await this.#starting;
    await this.#running;
  }

  /** Ends exactly the statement that runs or waits now, when it listens. */
  cancel(): void {
    const isOwed = this.#due > 0 || this.#pipelineOpen;
    const answered = this.#answered;
    const attempt = (): void => {
      const isWanted = (this.#state === "running" || this.#state === "starting") && this.#answered === answered;
      if (!isWanted) return;
      if (this.#session) this.#host.cancel(this.#session);
      // PostgreSQL ignores a cancel that comes while it still reads the statement; and while it waits for more of it, another.
      if (!this.#input.isAwaited) setTimeout(attempt, limits.cancelAgainMs);
    };
    if (isOwed) attempt();
  }

  /** Ends the session; its client is told by whoever calls this. A statement that computes may end by itself for a moment. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** As `end`, for a client that has gone. */
  async leave(): Promise<void> {
    const ended = this.end();
    this.#settle();
    this.#opened?.(undefined);
    await ended;
  }

  /** Whether its session may go and come again without its noticing. */
  get mayLetGo(): boolean {
    if (this.#state !== "idle") return this.#state !== "running";
    const isHeldUp = this.#connection.drained() !== undefined && !this.#session!.isAtRest;
    return this.#status === "I" && !this.isMidway && !this.#taken && !isHeldUp;
  }

  /** The server is going to be brought back, and with it its session, if that may go: it has another one when it needs one. */
  letGo(): void {
    this.#isUndone = this.#state === "starting";
    if (this.#state !== "idle") return;
    const session = this.#session!;
    session.onLeaving = (state) => {
      this.#kept = state ?? "unknown";
    };
    session.client = session.onTurnEnd = session.onEnded = () => undefined;
    this.#session = undefined;
    this.#state = "attached";
  }

  /** Who listens has a session again at once, as notifications come to those who say nothing. */
  comeBack(): Promise<void> {
    if (this.#is("attached") && hearsOthers(this.#kept)) this.#starting = this.#start();
    return this.#starting;
  }

  /** Its session is going to be undone with what it does. */
  undo(error: ErrorFields): void {
    this.crashed();
    this.#settle();
    this.#connection.terminate(error);
  }

  /** PostgreSQL has crashed. What it had answered is sent; what it was asked is settled when its client has been told. */
  crashed(): void {
    if (this.#state !== "over") this.output.flush();
    this.#state = "over";
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    const { session, words } = await this.#begin();
    if (this.#is("over")) return;
    if (!session) return this.#refused(words);
    this.#session = session;
    session.owner = this.#owner;
    session.client = this.#take;
    session.onTurnEnd = () => this.#answer();
    session.onEnded = () => void setImmediate(() => this.#ended());
    if (this.#is("ending")) return;
    this.#logged(readLogin(words).parameters);
    this.#state = "idle";
    if (this.#input.pending) this.#running = this.#run();
  }

  async #begin(): Promise<Begun> {
    const start = { user: "postgres", ...Object.fromEntries(this.#connection.parameters) };
    const onBegun = (session: Session): void => {
      this.#begun = session;
      session.abandoned = this.#is("ending") || this.#is("over");
      session.peer = peerOf(this.#connection);
    };
    this.#isUndone = false;
    const create = (take: SessionOutput) =>
      this.#host.createSession(start, take, this.processId, onBegun).catch(this.#crashed);
    const begun = await beginSession(create, () => this.#kept, this.told.get("client_encoding"));
    const { session, failure } = begun;
    if (this.#isUndone && session?.state === "idle") await this.#host.closeSession(session).catch(this.#crashed);
    if (this.#isUndone) return this.#begin();
    this.#kept = undefined;
    if (session && failure !== undefined && this.#is("starting")) {
      this.undo(lostState(failure));
      void this.#host.closeSession(session);
    }
    return begun;
  }

  #logged(parameters: ReadonlyMap<string, string>): void {
    const opened = this.#opened;
    this.#opened = undefined;
    // A session that begins late may have settings, of its role for example, that the login answer could not know.
    if (opened) opened(parameters);
    else this.#tell(parameters);
  }

  #tell(parameters: ReadonlyMap<string, string>): void {
    for (const [name, value] of parameters) {
      if (this.#isNews(name, value)) this.output.write(encodeMessage("S", name, value));
    }
  }

  async #run(): Promise<void> {
    const session = this.#session!;
    this.#state = "running";
    while (this.#input.pending && this.#is("running")) {
      const status = await session.run(this.#input, this.#take).catch(this.#crashed);
      if (status === "ended") return;
    }
    if (!this.#is("running")) return;
    this.#state = "idle";
    this.#due = 0;
    this.#since = Date.now();
    this.#settle();
  }

  readonly #take = (bytes: Uint8Array): void | Promise<void> => {
    if (this.#state === "over") return;
    this.#reader.feed(bytes);
    // PostgreSQL wants it to be seen, as it does with a notice, before it goes on.
    if (bytes.length < limits.postgresBufferBytes && !this.#session?.saidReady) this.output.flush();
    return this.#connection.drained();
  };

  // What other clients asked for in the meantime is answered first, and all of it leaves together.
  #answer(): void {
    if (this.output.isEmpty) return;
    if (!this.output.diverted) holdAnswers(this.#connection);
    this.output.flush();
  }

  #settle(): void {
    this.#taken?.resolve();
    this.#taken = undefined;
  }

  #inspect(type: number, message: Uint8Array): Uint8Array | undefined {
    if (type === Type.ParameterStatus)
      return this.#isNews(...readParameterStatus(message.subarray(5))) ? undefined : empty;
    // Whoever ends it tells its client why; what it was asked before is answered.
    if (this.#state === "ending" && isFatal(type, message)) return empty;
    this.#answered++;
    if (type !== Type.ReadyForQuery) return explained(type, message);
    this.#due = Math.max(0, this.#due - 1);
    this.#status = String.fromCharCode(message[5]!) as TransactionStatus;
    return undefined;
  }

  // Engine: PGlite reports a setting that was set, PostgreSQL one that has another value than it reported before.
  #isNews(name: string, value: string): boolean {
    if (this.told.get(name) === value) return false;
    this.told.set(name, value);
    if (name === "application_name") this.#application = Buffer.from(value);
    return true;
  }

  async #end(): Promise<void> {
    if (this.#is("attached")) this.#state = "over";
    if (this.#is("over")) return;
    if (this.#is("starting") && this.#begun) this.#begun.abandoned = true;
    this.#state = "ending";
    this.#input.clear();
    await this.#starting;
    const session = this.#session;
    if (!session || this.#is("over")) return;
    if (this.#host.computes(session)) await within(limits.abandonedMs, this.#running);
    const ended = this.#host.closeSession(session).catch(this.#crashed);
    this.#input.wake();
    await ended;
    this.#state = "over";
  }

  // What PostgreSQL refuses or ends is no exception: after one the turns of all sessions may be in disorder.
  readonly #crashed = (error: unknown): Promise<never> => this.#host.crashed(error);

  #refused(words: Buffer): void {
    const { error } = readLogin(words);
    if (this.#is("starting")) {
      if (error) this.#connection.terminate(error);
      else this.#connection.finish();
    }
    this.#over();
  }

  // PostgreSQL has said why, as output.
  #ended(): void {
    if (!this.#is("ending") && !this.#is("over")) this.#connection.finish();
    this.#over();
  }

  #over(): void {
    this.#state = "over";
    this.#opened?.(undefined);
    this.#settle();
  }

  #is(state: State): boolean {
    return this.#state === state;
  }
}

const inspected: ReadonlySet<number> = new Set([Type.ReadyForQuery, Type.ErrorResponse, Type.ParameterStatus]);
const empty = Buffer.alloc(0);
