/**
 * The clients that share one session, and what they wait with.
 *
 * Owns: what is known of each. Does not own: who runs next (`shared-queue.ts`).
 */
import { PatientTimer, type SocketConnection } from "@electric-sql/pglite-socket";
import type { IdleTimeouts } from "../../engine/engine.ts";
import type { ConnectionActivity } from "../../engine/listener.ts";
import type { Frame } from "../../wire/frames.ts";
import { Conversation, type CopyStart } from "../../work/conversation.ts";
import type { SharedSession } from "../../work/statements.ts";
import { idleInTransaction, idleSession, transactionTimeout } from "../session-errors.ts";
import { previewOf, shown } from "../statement-preview.ts";
import type { CopyData } from "./copy-data.ts";
import { Delivery } from "./delivery.ts";

/** Where a connection is; it also says which list it is in. */
type MemberState = "attached" | "leaving" | "gone";

/** The data of its COPY, while it comes. */
export interface MemberCopy {
  readonly start: CopyStart;
  readonly data: CopyData;
}

/** A client. */
export interface Member {
  readonly connection: SocketConnection;
  readonly delivery: Delivery;
  /** For a log. */
  readonly application: Uint8Array;
  readonly conversation: Conversation;
  state: MemberState;
  copy: MemberCopy | undefined;
  /** The beginning of its last statement, for the message to whoever waited for it. */
  preview: Buffer;
  /** When it last began to wait, to run, or to idle. */
  idleSince: number;
  /** Runs while it idles, for the timeouts of its session. */
  readonly idleTimer: PatientTimer;
  /** Whether the loop is to be woken when its client has read. */
  draining: boolean;
  left: (() => void) | undefined;
}

/** A batch that waits. */
export interface Entry {
  readonly member: Member;
  readonly frames: readonly Frame[];
  readonly bytes: Uint8Array;
  readonly since: number;
  /** The first frame that has not run. */
  next: number;
  /** It is to be cancelled as soon as it runs: its transaction must know. */
  cancelled: boolean;
  readonly done: () => void;
}

/** A client that has logged in; `maxUnreadBytes` of what it does not read are kept in a file. */
export function newMember(connection: SocketConnection, session: SharedSession, maxUnreadBytes: number): Member {
  return {
    connection,
    delivery: new Delivery(connection, maxUnreadBytes),
    application: Buffer.from(connection.parameters.get("application_name") ?? ""),
    conversation: new Conversation(session),
    state: "attached",
    copy: undefined,
    preview: Buffer.alloc(0),
    idleSince: Date.now(),
    idleTimer: new PatientTimer(),
    draining: false,
    left: undefined,
  };
}

/** What it does at this moment; `entry` is what it waits with. */
export function activityOf(member: Member, isCurrent: boolean, entry: Entry | undefined): ConnectionActivity {
  const { connection, conversation } = member;
  const running = isCurrent || member.delivery.emptied !== undefined;
  const idle = conversation.replies.status === "I" ? "idle" : "idle in transaction";
  return {
    processId: connection.processId,
    user: connection.parameters.get("user") ?? "",
    applicationName: connection.parameters.get("application_name") ?? "",
    state: running ? "running" : entry ? "waiting" : idle,
    statement: shown((entry && !running && previewOf(entry.frames)) || member.preview),
    forMs: Date.now() - (entry && !running ? entry.since : member.idleSince),
  };
}

/** PostgreSQL has set these timeouts; it is not asked again before they are over, so that it cannot act on them. */
export function armIdleTimer(member: Member, timeouts: IdleTimeouts | undefined): void {
  if (!timeouts) return;
  const { sessionMs = Infinity, inTransactionMs = Infinity, transactionMs = Infinity } = timeouts;
  const idle = member.conversation.replies.status === "I";
  const ms = idle ? sessionMs : Math.min(inTransactionMs, transactionMs);
  if (ms === Infinity) return;
  const error = idle ? idleSession : transactionMs < inTransactionMs ? transactionTimeout : idleInTransaction;
  member.idleTimer.set(Math.max(0, Math.ceil(ms)), () => member.connection.terminate(error)).unref();
}

/** How it is called in a message to another client. */
export function describe({ connection }: Member): string {
  const name = connection.parameters.get("application_name");
  return `connection ${connection.processId}${name ? ` ("${name}")` : ""}`;
}
