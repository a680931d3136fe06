/**
 * One connection's conversation with a session that it shares with others.
 *
 * Owns: what to send for a frame. Does not own: what is owed for it (`expected-replies.ts`), the meaning of statement names
 * (`statements.ts`), whose turn it is, sockets, the engine.
 * Invariant: pure; every frame that is sent has its expected reply in `replies` before it is sent.
 */
import { encodeFrame, type Frame, isPipelineEnd, readCString, Type } from "../wire/frames.ts";
import { type CopyIn, copyIn, isOrdinary, mayCopyIn } from "./client-sql.ts";
import { type Expected, ExpectedReplies } from "./expected-replies.ts";
import { isOfStatement, readParse, statementName, text } from "./frame-names.ts";
import { type Restore, type SharedSession, type Statement, Statements } from "./statements.ts";

/** A stop in the middle of a batch: the frame that starts a COPY from the client. */
export interface CopyStart {
  readonly frame: Frame;
  readonly copy: CopyIn;
}

/** What to run next of a batch. */
interface Plan {
  readonly bytes: Uint8Array;
  /** Index of the first frame that is not in `bytes`. */
  readonly next: number;
  /** The frame at `next - 1` starts a COPY from the client and is not in `bytes`. */
  readonly copyStart?: CopyStart;
}

const EXTENDED: ReadonlySet<number> = new Set<number>([Type.Parse, Type.Bind, Type.Describe, Type.Execute, Type.Close]);
const MIXED_COPY = encodeFrame(
  Type.Query,
  `do $$begin raise exception using errcode = '0A000', message = 'COPY FROM STDIN is not supported in a string of several statements here', hint = 'Send the COPY as a query of its own.'; end$$`,
);
// Stands for all names of statements; no name of a message has a zero in it.
const EVERY_NAME = "\0";
// Stands beside the unnamed statement where the message that touched it can be skipped.
const UNNAMED_UNSURE = "\0unsure";
// Sent behind what could be a COPY that was not recognised: at the end of its input a COPY would end the session for
// everyone. Outside of a COPY the engine ignores it.
const COPY_FAIL = encodeFrame(Type.CopyFail, "no data can follow here");

/** See the head of the file. */
export class Conversation {
  /** What it is owed. */
  readonly replies: ExpectedReplies;
  readonly #statements: Statements;
  #pipelineOpen = false;
  // While planning: the statements touched in the current pipeline, and those in pipelines that ended before it.
  #touched = new Set<string>();
  #unanswered = new Set<string>();
  // While planning: whether the frame is the first of its pipeline.
  #first = true;
  /** Whether it ran anything. */
  used = false;

  constructor(session: SharedSession) {
    this.#statements = new Statements(session);
    this.replies = new ExpectedReplies(this.#statements);
  }

  /** Whether there is something after the last Sync, Query or FunctionCall. */
  get pipelineOpen(): boolean {
    return this.#pipelineOpen || this.replies.isSkipping;
  }

  /** The names that its prepared statements have in the engine. */
  engineNames(): string[] {
    return this.#statements.engineNames();
  }

  /** Plans the frames from `start` on, up to `maxAnswers` that can have a long answer. Expects them to be run. */
  plan(frames: readonly Frame[], whole: Uint8Array, start: number, maxAnswers: number): Plan {
    const sent: Uint8Array[] = [];
    let changed = start > 0;
    let answers = 0;
    let next = start;
    let copyStart: CopyStart | undefined;
    let stop = false;
    this.used = true;
    this.#touched.clear();
    this.#unanswered.clear();
    while (next < frames.length && answers < maxAnswers && !stop) {
      const frame = frames[next]!;
      if (this.replies.isSkipping && frame.type !== Type.Sync) {
        changed = true;
        next++;
        continue;
      }
      const copy = this.#copyOf(frame);
      // Whether a COPY may start depends on what comes before it: run that first.
      if (sent.length > 0 && (copy || this.#dependsOnUnanswered(frame))) break;
      next++;
      if (copy) {
        copyStart = { frame, copy };
        break;
      }
      const before = sent.length;
      stop = frame.type === Type.Execute && this.#portal(frame) !== undefined;
      this.#send(frame, sent);
      changed ||= sent.length !== before + 1 || sent[before] !== frame.bytes;
      if (frame.type === Type.Execute || frame.type === Type.Query) answers++;
      // Nothing may come between the Sync and what settles it.
      stop ||= this.replies.isUnsettled;
    }
    changed ||= next < frames.length || copyStart !== undefined;
    return {
      bytes: changed ? Buffer.concat(sent) : whole,
      next,
      ...(copyStart ? { copyStart } : {}),
    };
  }

  /** Expects the frame of a `CopyStart` to be run with its data; `announced` if the client got its CopyInResponse. */
  planCopy({ frame }: CopyStart, announced: boolean): void {
    this.replies.expectCopy(announced);
    if (frame.type === Type.Execute) this.#statements.portals.delete(text(frame, 5));
    this.#expect(frame);
  }

  /** Whether `frames` only prepare statements, so that `defer` can answer them. */
  canDefer(frames: readonly Frame[]): boolean {
    if (this.replies.status !== "I" || this.pipelineOpen || frames.at(-1)?.type !== Type.Sync) return false;
    return frames.slice(0, -1).every((frame) => {
      const name = readParse(frame)?.name;
      return name !== undefined && (name === "" || !this.#statements.get(name));
    });
  }

  /** Takes note of the statements as if the engine had lost them, and returns the answer. */
  defer(frames: readonly Frame[]): Uint8Array {
    this.used = true;
    const answer: Uint8Array[] = [];
    for (const frame of frames) {
      const parse = readParse(frame);
      if (!parse) continue;
      this.#statements.defer(this.#statements.add(parse.name, parse.sql, frame.bytes, parse.sqlAt));
      answer.push(encodeFrame(Type.ParseComplete));
    }
    return Buffer.concat([...answer, encodeFrame(Type.ReadyForQuery, Buffer.from(this.replies.status))]);
  }

  /**
   * Takes note that what comes first in `frames`, a Query or everything up to a Sync, has failed without having run.
   * Returns the index of the frame behind it, and whether a ReadyForQuery is due.
   */
  skip(frames: readonly Frame[]): { next: number; ready: boolean } {
    const end = frames.findIndex(({ type }) => isPipelineEnd(type));
    this.replies.skip(end < 0);
    return { next: end < 0 ? frames.length : end + 1, ready: end >= 0 };
  }

  #copyOf(frame: Frame): CopyIn | undefined {
    let copy: CopyIn | "mixed" | "unclear" | undefined;
    if (frame.type === Type.Query) copy = isOrdinary(frame.bytes) ? undefined : copyIn(text(frame, 5));
    if (frame.type === Type.Execute) copy = this.#portal(frame)?.copy;
    return typeof copy === "object" ? copy : undefined;
  }

  // A frame behind the end of a pipeline runs whether what was before that succeeded or not; where it names something
  // that was touched there, what it means is known only after the answer. Within a pipeline an error skips the rest.
  #dependsOnUnanswered(frame: Frame): boolean {
    if (this.#unanswered.size === 0) return false;
    const { type, bytes } = frame;
    if (type === Type.Query) return !isOrdinary(bytes);
    if (type === Type.Parse && !isOrdinary(bytes)) return true;
    const name = statementName(frame);
    if (name === undefined) return false;
    // A Parse of the unnamed statement replaces whatever there is; but what was skipped must be put back before it.
    if (type === Type.Parse && name === "") return this.#unanswered.has(UNNAMED_UNSURE);
    return this.#unanswered.has(name) || this.#unanswered.has(EVERY_NAME);
  }

  #touch(name: string): void {
    this.#touched.add(name);
    // The first message of a pipeline can fail, but not be skipped.
    if (name === "" && !this.#first) this.#touched.add(UNNAMED_UNSURE);
  }

  #portal(execute: Frame): Statement | undefined {
    const { portals } = this.#statements;
    return portals.size > 0 ? portals.get(text(execute, 5)) : undefined;
  }

  // Pushes what the engine is to get for a frame.
  #send(frame: Frame, sent: Uint8Array[]): void {
    this.#first = !this.#pipelineOpen;
    switch (frame.type) {
      case Type.Parse:
        this.#sendParse(frame, sent);
        break;
      case Type.Bind:
        this.#sendBind(frame, sent);
        break;
      case Type.Describe:
      case Type.Close:
        this.#sendNamed(frame, sent);
        break;
      case Type.Query:
        this.#sendQuery(frame, sent);
        break;
      case Type.Execute:
        this.#sendExecute(frame, sent);
        break;
      default:
        this.#expect(frame);
        sent.push(frame.bytes);
    }
  }

  #expect(frame: Frame, more: Omit<Expected, "type"> = {}): void {
    const { type, bytes } = frame;
    this.replies.sends(type, this.#pipelineOpen);
    if (EXTENDED.has(type)) this.#pipelineOpen = true;
    if (isPipelineEnd(type)) {
      this.#pipelineOpen = false;
      for (const name of this.#touched) this.#unanswered.add(name);
      this.#touched.clear();
    }
    if (type === Type.Query) this.replies.expect({ type, ...this.#dropUnnamed(), ...more });
    else if (type === Type.Execute) this.replies.expect({ type, ...deallocation(this.#portal(frame)?.deallocates) });
    // A good Flush is not answered; one with a body is answered with an error.
    else if (EXTENDED.has(type) || isPipelineEnd(type) || (type === Type.Flush && bytes.length > 5)) {
      this.replies.expect({ type, ...more });
    }
  }

  // exec_simple_query() drops the unnamed statement, and the unnamed portal.
  #dropUnnamed(): { undo: () => void } {
    const { portals } = this.#statements;
    const statement = this.#statements.get("");
    const portal = portals.get("");
    if (statement) this.#statements.remove(statement);
    portals.delete("");
    this.#touch("");
    const disown = this.#statements.ownUnnamed();
    return {
      undo: () => {
        if (statement) this.#statements.put(statement);
        if (portal) portals.set("", portal);
        disown();
      },
    };
  }

  #sendQuery(frame: Frame, sent: Uint8Array[]): void {
    if (isOrdinary(frame.bytes)) {
      this.#expect(frame);
      sent.push(frame.bytes);
      return;
    }
    const sql = text(frame, 5);
    const deallocates = this.#statements.deallocatedBy(sql);
    this.#touch(EVERY_NAME);
    if (deallocates !== undefined) this.#add(this.#statements.makeDeallocatable(deallocates), sent);
    this.#expect(frame, deallocation(deallocates));
    if (deallocates !== undefined) sent.push(encodeFrame(Type.Query, this.#statements.deallocate(deallocates)));
    else sent.push(copyIn(sql) === "mixed" ? MIXED_COPY : frame.bytes);
    if (mayCopyIn(sql)) sent.push(COPY_FAIL);
  }

  #sendParse(frame: Frame, sent: Uint8Array[]): void {
    const parse = readParse(frame);
    if (!parse) {
      this.#expect(frame);
      sent.push(frame.bytes);
      return;
    }
    const { name, sql, sqlAt } = parse;
    const before = this.#statements.get(name);
    if (name !== "" && before) {
      // The engine refuses the name (42P05), or the text if that is worse.
      this.#restore(name, sent);
      this.#expect(frame, { name });
      sent.push(encodeFrame(Type.Parse, before.engineName, frame.bytes.subarray(sqlAt)));
      return;
    }
    const statement = this.#statements.add(name, sql, frame.bytes, sqlAt);
    this.#touch(name);
    const disown = name === "" ? this.#statements.ownUnnamed() : undefined;
    this.#expect(frame, {
      done: () => this.#statements.completed(statement),
      // A failed Parse of the unnamed statement has dropped the one before.
      failed: () => this.#statements.failed(statement),
      undo: () => {
        this.#statements.remove(statement, before);
        disown?.();
      },
    });
    sent.push(name === "" && statement.ordinary ? frame.bytes : statement.parse);
  }

  #sendExecute(frame: Frame, sent: Uint8Array[]): void {
    const statement = this.#portal(frame);
    if (statement?.deallocates !== undefined) {
      this.#add(this.#statements.makeDeallocatable(statement.deallocates), sent);
    }
    this.#expect(frame);
    sent.push(frame.bytes);
    if (statement?.copy) sent.push(COPY_FAIL);
  }

  // Makes sure that the engine holds the statement as this connection knows it.
  #restore(name: string, sent: Uint8Array[]): void {
    const messages = this.#statements.restore(name);
    if (messages.length > 0) this.#touch(name);
    this.#add(messages, sent);
  }

  // Messages of this side's own: their replies are dropped, their errors are the client's.
  #add(messages: readonly Restore[], sent: Uint8Array[]): void {
    for (const { type, bytes, failed, undo } of messages) {
      this.replies.expect({ type, added: true, failed, undo });
      sent.push(bytes);
    }
  }

  #sendBind(frame: Frame, sent: Uint8Array[]): void {
    const { bytes } = frame;
    const portal = readCString(bytes, 5);
    const name = portal && readCString(bytes, portal.next);
    if (!portal || !name) {
      this.#expect(frame);
      sent.push(bytes);
      return;
    }
    this.#restore(name.text, sent);
    this.#expect(frame, { name: name.text, ...this.#bindPortal(portal.text, this.#statements.get(name.text)) });
    const engineName = this.#statements.engineName(name.text);
    sent.push(
      engineName === name.text ? bytes : encodeFrame(Type.Bind, portal.text, engineName, bytes.subarray(name.next)),
    );
  }

  #bindPortal(name: string, statement: Statement | undefined): Omit<Expected, "type"> {
    const { portals } = this.#statements;
    const before = portals.get(name);
    if (statement && !statement.ordinary) portals.set(name, statement);
    else if (before) portals.delete(name);
    else return {};
    const undo = (): void => {
      if (before) portals.set(name, before);
      else portals.delete(name);
    };
    // A failed Bind of the unnamed portal has dropped the one before.
    return { undo, failed: name === "" ? () => portals.delete("") : undo };
  }

  // Describe and Close, of a statement or a portal.
  #sendNamed(frame: Frame, sent: Uint8Array[]): void {
    const { type, bytes } = frame;
    const name = readCString(bytes, 6)?.text;
    const ofStatement = isOfStatement(frame);
    if (name === undefined || !ofStatement) {
      this.#expect(frame, name !== undefined && type === Type.Close ? this.#closePortal(name) : {});
      sent.push(bytes);
      return;
    }
    if (type === Type.Describe) this.#restore(name, sent);
    const engineName = this.#statements.engineName(name);
    this.#expect(frame, { name, ...(type === Type.Close ? this.#closeStatement(name) : {}) });
    sent.push(engineName === name ? bytes : encodeFrame(type, `S${engineName}`));
  }

  #closePortal(name: string): { undo: () => void } {
    const { portals } = this.#statements;
    const statement = portals.get(name);
    portals.delete(name);
    return {
      undo: () => {
        if (statement) portals.set(name, statement);
      },
    };
  }

  #closeStatement(name: string): { undo: () => void } {
    const statement = this.#statements.get(name);
    if (statement) this.#statements.remove(statement);
    this.#touch(name);
    // The engine's unnamed statement may be somebody else's: whoever's it is, it goes.
    const disown = name === "" ? this.#statements.ownUnnamed() : undefined;
    return {
      undo: () => {
        if (statement) this.#statements.put(statement);
        disown?.();
      },
    };
  }
}

function deallocation(name: string | undefined): Pick<Expected, "name" | "deallocates"> {
  return name === undefined ? {} : { name, deallocates: true };
}
