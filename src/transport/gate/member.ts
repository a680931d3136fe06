/**
 * One client behind a gate.
 *
 * Owns: its batches that wait, its answers that wait, which statement a batch is about. Does not own: when they go on (`gate.ts`).
 * Invariant: batches go on in the order in which they came, and answers in theirs. Whatever may take a lock, have an effect or end a
 * transaction waits; what belongs to something that waits goes on with it.
 */
import type { Batch, SocketConnection } from "@electric-sql/pglite-socket";
import { ownConnection } from "../../engine/gate.ts";
import type { Session } from "../../sessions/session.ts";
import { type Frame, isPipelineEnd, Type } from "../../wire/frames.ts";
import { encodeMessage } from "../../wire/frontend.ts";
import { messageName } from "../../wire/message-names.ts";
import { DatabaseError, readQueryResults } from "../../wire/query-results.ts";
import { StatementTexts } from "../../wire/statement-texts.ts";
import type { ClientSession } from "../client-session.ts";

/** What a member tells of. */
interface MemberEvents {
  /** A batch that acts has come and waits. `continues`: it runs what has been let through to be prepared. */
  arrived(member: GateMember, sql: string, continues: boolean): void;
  /** A batch that acts has come while nothing is held. */
  passedOpen(): void;
  /** What was let through has its answer, or is dropped. */
  settled(member: GateMember): void;
  passed(member: GateMember, side: "frontend" | "backend", bytes: Uint8Array): void;
}

/** `acts`: somebody decides about it; `follows`: it belongs to what is before it; `precedes`: to what comes. */
type Role = "acts" | "follows" | "precedes";

interface Waiting {
  readonly batch: Batch;
  readonly role: Role;
  readonly settle: () => void;
}

/** See the head of the file. */
export class GateMember {
  readonly connection: SocketConnection;
  /** `answered`: to what was let through; its client has not been told. */
  state: "idle" | "running" | "answered" = "idle";
  /** It runs for so long that nobody waits for it any more. */
  isLoose = false;
  /** It has been sent an Execute that wants so many rows at most since it is held. */
  isInPieces = false;
  /** Whether `learn` has been called for what was prepared before. */
  knowsStatements = false;
  readonly #client: ClientSession;
  readonly #events: MemberEvents;
  readonly #texts = new StatementTexts();
  readonly #pipeline: Pipeline;
  readonly #waiting: Waiting[] = [];
  #answers: Buffer[] = [];
  #mayAnswer = true;
  #isHeld = false;

  constructor(connection: SocketConnection, client: ClientSession, events: MemberEvents) {
    this.connection = connection;
    this.#client = client;
    this.#events = events;
    this.#pipeline = new Pipeline(client.isMidway);
  }

  /** Whether whoever decides uses it. */
  get #isOwn(): boolean {
    return Object.entries(ownConnection).every(([name, value]) => this.connection.parameters.get(name) === value);
  }

  get number(): number {
    return this.connection.processId;
  }

  get session(): Session | undefined {
    return this.#client.session;
  }

  get status(): "I" | "T" | "E" {
    return this.#client.status;
  }

  /** Whether its session waits for its next message. */
  get isIdle(): boolean {
    return !this.#client.isMidway && this.#client.activity().state.startsWith("idle");
  }

  /** What its client was told at its login. */
  get told(): ReadonlyMap<string, string> {
    return this.#client.told;
  }

  /** Named statements and their texts. */
  get statements(): ReadonlyMap<string, string> {
    return this.#texts.named;
  }

  /** Whether a batch of its waits here to be let through. */
  get hasWaiting(): boolean {
    return this.#waiting.some(({ role }) => role === "acts");
  }

  /** Whether something for its client waits here. */
  get hasAnswer(): boolean {
    return this.#answers.length > 0;
  }

  /** The SQLSTATE of the first error that waits for its client. */
  get code(): string | undefined {
    try {
      readQueryResults(Buffer.concat(this.#answers));
      return undefined;
    } catch (error) {
      return error instanceof DatabaseError ? error.code : undefined;
    }
  }

  /** Takes the next batch; resolves as `SocketQueue.submit`. */
  submit(batch: Batch): Promise<void> {
    const { sql, role, continues } = this.#read(batch.frames);
    if (!this.#isHeld && role === "acts" && !this.#isOwn) this.#events.passedOpen();
    if (!this.#isHeld || (role === "follows" && this.#waiting.length === 0)) return this.#pass(batch);
    return new Promise((settle) => {
      // Its client sends more only if it is taken.
      if (role === "precedes") settle();
      this.#waiting.push({ batch, role, settle });
      if (role === "acts") this.#events.arrived(this, sql, continues);
    });
  }

  /** From now on what acts waits, and what it is answered with, too. */
  hold(): void {
    this.#isHeld = true;
    this.isInPieces = false;
    this.#client.output.diverted = (bytes) => this.#answer(bytes);
  }

  /** From now on nothing it is told leaves. */
  holdAnswers(): void {
    this.#mayAnswer = false;
  }

  /** Lets the first batch that acts through, with what belongs to it. False if there is none. */
  release(): boolean {
    const count = this.#waiting.findIndex(({ role }) => role === "acts") + 1;
    if (count === 0) return false;
    const end = this.#waiting.findIndex(({ role }, at) => at >= count && role !== "follows");
    this.#let(end < 0 ? this.#waiting.length : end);
    return true;
  }

  /** Hands out what it is answered with, also what comes until its answers are held again. */
  deliver(): void {
    if (this.state === "answered") this.state = "idle";
    this.#mayAnswer = true;
    for (const bytes of this.#answers.splice(0)) this.#send(bytes);
  }

  /** Nothing is held any more. */
  open(): void {
    this.#isHeld = false;
    if (this.#waiting.length > 0) this.#let(this.#waiting.length);
    this.state = "idle";
    this.isLoose = false;
    this.deliver();
    this.#client.output.diverted = undefined;
  }

  /** Its client has gone. */
  drop(): void {
    for (const { settle } of this.#waiting.splice(0)) settle();
    this.#answers = [];
    this.#client.output.diverted = undefined;
    this.state = "idle";
    this.#events.settled(this);
  }

  cancel(): void {
    this.#client.cancel();
  }

  /** Runs messages of ours on its session between two of its batches; undefined if it has none. */
  async aside(messages: Uint8Array): Promise<Buffer | undefined> {
    return this.#client.runAside(messages);
  }

  /** Learns of statements that were prepared before it was looked at. */
  learn(statements: Iterable<readonly [name: string, sql: string]>): void {
    for (const [name, sql] of statements) {
      const body = encodeMessage("P", name, sql).subarray(5);
      this.#texts.next({ side: "frontend", type: "P", name: "Parse", body });
    }
  }

  #pass(batch: Batch): Promise<void> {
    if (this.#isHeld) this.#events.passed(this, "frontend", batch.bytes);
    return this.#client.submit(batch);
  }

  #answer(bytes: Uint8Array): void {
    if (this.#mayAnswer) this.#send(bytes);
    else this.#answers.push(Buffer.from(bytes));
  }

  #send(bytes: Uint8Array): void {
    this.#events.passed(this, "backend", bytes);
    this.connection.send(bytes);
  }

  /** Lets so many of those that wait through. */
  #let(count: number): void {
    this.state = "running";
    const passed = this.#waiting.splice(0, count).map(({ batch, settle }) => this.#pass(batch).then(settle));
    this.isLoose = false;
    void passed.at(-1)?.then(() => {
      this.isLoose = false;
      if (this.state === "running") this.state = "answered";
      this.#events.settled(this);
    });
  }

  /** What these messages are, and the texts of what acts. */
  #read(frames: readonly Frame[]): { sql: string; role: Role; continues: boolean } {
    const texts: string[] = [];
    const before = this.#pipeline.state;
    let acts = false;
    let runs = false;
    for (const { type: code, bytes } of frames) {
      const type = String.fromCharCode(code);
      const body = Buffer.from(bytes.buffer, bytes.byteOffset + 5, bytes.length - 5);
      const text = this.#texts.next({ side: "frontend", type, name: messageName("frontend", type), body });
      if (this.#pipeline.next(code)) acts = true;
      // The name of the portal, a zero byte, the number of rows, 0 for all.
      if (code === Type.Execute && body.readUInt32BE(body.indexOf(0) + 1) > 0) this.isInPieces = true;
      if (running.has(code)) {
        if (!runs) texts.length = 0;
        runs = true;
        texts.push(text?.trim() ?? unknownText);
      } else if (!runs && preparing.has(code)) texts.splice(0, 1, text?.trim() ?? unknownText);
      else if (ofCopy.has(code) && code !== Type.CopyData) texts.push("(data of a COPY)");
    }
    const continues = before === "prepared";
    // What is sent behind a Parse, or a Sync behind what it ends, without waiting for an answer is one thing with it.
    const isRest = this.#waiting.length > 0 && (continues || frames.every(({ type }) => resting.has(type)));
    const isData = acts && frames.every(({ type }) => type === Type.CopyData);
    const role = isData ? "precedes" : acts && !isRest ? "acts" : "follows";
    return { sql: texts.join("; ") || "(end of a pipeline)", role, continues };
  }
}

/** What of a pipeline has gone by since its last end. */
class Pipeline {
  state: "none" | "prepared" | "begun";
  /** Whether what was sent last may be a COPY that wants data; PostgreSQL ignores the end of one that has ended. */
  #mayCopy: boolean;

  constructor(isOpen: boolean) {
    this.#mayCopy = isOpen;
    this.state = isOpen ? "begun" : "none";
  }

  /** Takes the next message; whether it may take a lock, have an effect or end a transaction. */
  next(code: number): boolean {
    if (preparing.has(code)) {
      if (this.state === "none") this.state = "prepared";
      return true;
    }
    if (ofCopy.has(code)) {
      const acts = this.#mayCopy;
      if (code !== Type.CopyData) this.#mayCopy = false;
      return acts;
    }
    if (code === Type.Execute || code === Type.Query) this.#mayCopy = true;
    if (code === Type.Execute) {
      this.state = "begun";
      return true;
    }
    const acts = code === Type.Sync ? this.state !== "none" : isPipelineEnd(code);
    if (isPipelineEnd(code)) this.state = "none";
    return acts;
  }
}

const unknownText = "(a statement that was prepared before)";
const running: ReadonlySet<number> = new Set([Type.Query, Type.Execute, Type.FunctionCall]);
const preparing: ReadonlySet<number> = new Set([Type.Parse, Type.Bind, Type.Describe]);
const ofCopy: ReadonlySet<number> = new Set([Type.CopyData, Type.CopyDone, Type.CopyFail]);
const resting: ReadonlySet<number> = new Set([Type.Sync, Type.Flush, Type.Close]);
