/**
 * One client behind a gate.
 *
 * Owns: its batches that wait, its answers that wait, which statement a batch is about. Does not own: when they go on (`gate.ts`).
 * Invariant: batches go on in the order in which they came, and answers in theirs. What cannot have an effect (a Parse, a Sync, data of
 * a COPY) waits only behind what can.
 */
import type { Batch, SocketConnection } from "@electric-sql/pglite-socket";
import type { Session } from "../../engine/thread/sessions/session.ts";
import { type Frame, Type } from "../../wire/frames.ts";
import { encodeMessage } from "../../wire/frontend.ts";
import { messageName } from "../../wire/message-names.ts";
import { DatabaseError, readQueryResults } from "../../wire/query-results.ts";
import { StatementTexts } from "../../wire/statement-texts.ts";
import type { ClientSession } from "../client-session.ts";

/** What a member tells of. */
interface MemberEvents {
  /** A batch that acts has come and waits. */
  arrived(member: GateMember, sql: string): void;
  /** What was let through has its answer, or is dropped. */
  settled(member: GateMember): void;
  passed(member: GateMember, side: "frontend" | "backend", bytes: Uint8Array): void;
}

interface Waiting {
  readonly batch: Batch;
  readonly acts: boolean;
  readonly settle: () => void;
}

/** See the head of the file. */
export class GateMember {
  readonly connection: SocketConnection;
  /** `answered`: to what was let through; its client has not been told. */
  state: "idle" | "running" | "answered" = "idle";
  /** Whether `learn` has been called for what was prepared before. */
  knowsStatements = false;
  readonly #client: ClientSession;
  readonly #events: MemberEvents;
  readonly #texts = new StatementTexts();
  readonly #waiting: Waiting[] = [];
  #answers: Buffer[] = [];
  #mayAnswer = true;
  #isHeld = false;

  constructor(connection: SocketConnection, client: ClientSession, events: MemberEvents) {
    this.connection = connection;
    this.#client = client;
    this.#events = events;
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

  /** What its client was told at its login. */
  get told(): ReadonlyMap<string, string> {
    return this.#client.told;
  }

  /** Named statements and their texts. */
  get statements(): ReadonlyMap<string, string> {
    return this.#texts.named;
  }

  /** Whether a batch of its waits here. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
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
    const sql = this.#read(batch.frames);
    const acts = batch.frames.some(({ type }) => acting.has(type));
    if (!this.#isHeld || (!acts && this.#waiting.length === 0)) return this.#pass(batch);
    return new Promise((settle) => {
      this.#waiting.push({ batch, acts, settle });
      if (acts) this.#events.arrived(this, sql);
    });
  }

  /** From now on what acts waits, and what it is answered with, too. */
  hold(): void {
    this.#isHeld = true;
    this.#client.output.diverted = (bytes) => this.#answer(bytes);
  }

  /** From now on nothing it is told leaves. */
  holdAnswers(): void {
    this.#mayAnswer = false;
  }

  /** Lets the first batch through, with what belongs to it. False if there is none. */
  release(): boolean {
    const first = this.#waiting.shift();
    if (!first) return false;
    this.state = "running";
    let last = this.#pass(first.batch).then(first.settle);
    while (this.#waiting[0] && !this.#waiting[0].acts) {
      const { batch, settle } = this.#waiting.shift()!;
      last = this.#pass(batch).then(settle);
    }
    void last.then(() => {
      if (this.state === "running") this.state = "answered";
      this.#events.settled(this);
    });
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
    while (this.release());
    this.state = "idle";
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

  /** The texts of what acts in these messages. */
  #read(frames: readonly Frame[]): string {
    const texts: string[] = [];
    for (const { type: code, bytes } of frames) {
      const type = String.fromCharCode(code);
      const body = Buffer.from(bytes.buffer, bytes.byteOffset + 5, bytes.length - 5);
      const text = this.#texts.next({ side: "frontend", type, name: messageName("frontend", type), body });
      if (acting.has(code)) texts.push(text?.trim() ?? "(a statement that was prepared before)");
    }
    return texts.join("; ");
  }
}

const acting: ReadonlySet<number> = new Set([Type.Query, Type.Execute, Type.FunctionCall]);
