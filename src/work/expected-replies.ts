/**
 * What one connection is owed: the replies that are still to come, in order.
 *
 * Owns: the frames that were sent and not answered yet, what ReadyForQuery last said, which replies the client does not get.
 * Does not own: what is sent (`conversation.ts`), what a statement's name stands for (`statements.ts`).
 * Invariant: pure; only replies of frames that were added on this side are dropped.
 */
import { encodeFrame, isPipelineEnd, type TransactionStatus, Type } from "../wire/frames.ts";
import type { ReplyVisitor, Verdict } from "../wire/reply-reader.ts";
import { type Statements, withClientName } from "./statements.ts";

/** A frame that was sent and not answered yet. */
export interface Expected {
  readonly type: number;
  /** The client did not send it and does not get its reply. */
  readonly added?: boolean;
  /** The statement that it names, as the client does. */
  readonly name?: string | undefined;
  /** Whether it takes that statement away when it succeeds. */
  readonly deallocates?: boolean;
  readonly done?: () => void;
  readonly failed?: () => void;
  /** Puts things back: it was skipped after an error. */
  readonly undo?: () => void;
}

// What a client says through these tags it may lose only with its session.
const STATEFUL_TAGS: ReadonlySet<string> = new Set(["SET", "LISTEN"]);

/** See the head of the file. */
export class ExpectedReplies implements ReplyVisitor {
  readonly #statements: Statements;
  #expected: Expected[] = [];
  #isSkipping = false;
  #unsettled: "no" | "until Sync" | "now" = "no";
  // Set while a COPY runs whose CopyInResponse the client got before.
  #copyAnnounced = false;
  #status: TransactionStatus = "I";
  #tags = new Set<string>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** The status of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** After an error the engine ignores everything up to Sync, and so do we. */
  get isSkipping(): boolean {
    return this.#isSkipping;
  }

  /** Whether a ReadyForQuery is missing that should have come with the last run. */
  get isOwedReady(): boolean {
    return this.#expected.some(({ type }) => isPipelineEnd(type));
  }

  /** Whether the engine must get an empty Query before anything else; see `takeUnsettled`. */
  get isUnsettled(): boolean {
    return this.#unsettled === "now";
  }

  /**
   * Whether the engine must get an empty Query before anybody else's message, to be asked once after each run.
   * Engine: a Query between an Execute and its Sync leaves PostgreSQL in a started transaction block after that Sync
   * (18 does so natively, too), and the next command fails with XX000.
   */
  takeUnsettled(): boolean {
    const now = this.isUnsettled;
    if (now) this.#unsettled = "no";
    return now;
  }

  /** Whether it ran a command with this tag (`SET`, `LISTEN`). */
  ran(tag: string): boolean {
    return this.#tags.has(tag);
  }

  /** A message of this type is sent, in the middle of a pipeline or not. */
  sends(type: number, inPipeline: boolean): void {
    if (type === Type.Query && inPipeline) this.#unsettled = "until Sync";
    if (type === Type.Sync && this.#unsettled === "until Sync") this.#unsettled = "now";
    if (type === Type.Sync) this.#isSkipping = false;
  }

  /** A frame is sent whose reply is this. */
  expect(expected: Expected): void {
    this.#expected.push(expected);
  }

  /** A COPY is sent; with `announced` the client has its CopyInResponse. */
  expectCopy(announced: boolean): void {
    this.#copyAnnounced = announced;
  }

  /** What the client sent has failed without having been sent; `rest`: up to a Sync that is still to come. */
  skip(rest: boolean): void {
    this.#isSkipping = rest;
  }

  verdict(type: number): Verdict {
    const head = this.#expected[0];
    switch (type) {
      case Type.ParseComplete:
      case Type.BindComplete:
      case Type.CloseComplete:
        this.#expected.shift();
        head?.done?.();
        return head?.added ? "drop" : "forward";
      case Type.RowDescription:
      case Type.NoData:
        if (head?.type === Type.Describe) this.#expected.shift();
        return "forward";
      case Type.PortalSuspended:
      case Type.EmptyQueryResponse:
        if (head?.type === Type.Execute) this.#expected.shift();
        return "forward";
      case Type.CopyInResponse:
        return this.#copyAnnounced ? "drop" : "forward";
      case Type.CommandComplete:
      case Type.ReadyForQuery:
      case Type.ErrorResponse:
        return "inspect";
      default:
        return "forward";
    }
  }

  inspect(type: number, message: Uint8Array): Uint8Array | undefined {
    if (type === Type.ReadyForQuery) {
      this.#ready(String.fromCharCode(message[5]!) as TransactionStatus);
      return undefined;
    }
    if (type === Type.CommandComplete) {
      this.#completed(Buffer.from(message.subarray(5, -1)).toString("latin1"));
      return undefined;
    }
    const name = this.#expected[0]?.name;
    this.#failed();
    if (name === undefined) return undefined;
    const renamed = withClientName(Buffer.from(message.subarray(5)).toString("utf8"), name);
    return renamed === undefined ? undefined : encodeFrame(Type.ErrorResponse, Buffer.from(renamed));
  }

  #ready(status: TransactionStatus): void {
    this.#status = status;
    this.#copyAnnounced = false;
    this.#isSkipping = false;
    this.#expected.splice(0, this.#expected.findIndex(({ type }) => isPipelineEnd(type)) + 1);
    if (status === "I") this.#statements.portals.clear();
  }

  #completed(tag: string): void {
    const [head] = this.#expected;
    if (head?.type === Type.Execute) this.#expected.shift();
    if (head?.deallocates && head.name !== undefined && tag === "DEALLOCATE") this.#statements.deallocated(head.name);
    if (tag === "DISCARD ALL" || tag === "DEALLOCATE ALL") this.#statements.discardAll();
    if (STATEFUL_TAGS.has(tag)) this.#tags.add(tag);
  }

  // An error ends the messages of a pipeline up to its Sync; a Query or FunctionCall still gets its ReadyForQuery.
  #failed(): void {
    const head = this.#expected[0];
    if (head && isPipelineEnd(head.type)) return;
    const sync = this.#expected.findIndex(({ type }) => type === Type.Sync);
    const skipped = this.#expected.splice(0, sync < 0 ? this.#expected.length : sync);
    this.#isSkipping = sync < 0;
    // A Query that was skipped unsettles nothing.
    this.#unsettled = "no";
    for (const expected of skipped.slice(1).reverse()) expected.undo?.();
    const undo = head?.failed ?? head?.undo;
    undo?.();
  }
}
