/**
 * What one connection has asked for and may get next.
 *
 * Owns: the order of replies, by the protocol. Does not own: what is in them (`contents.ts`), other connections.
 * Invariant: after the first reply that cannot be it says nothing any more, since nobody knows what follows.
 * Mirrors "Message Flow" (protocol-flow) in the PostgreSQL manual.
 */
import type { WireMessage } from "../../wire/connection-reader.ts";
import { readErrorFields } from "../../wire/query-results.ts";
import type { Problem } from "./finding.ts";
import type { About } from "./statements.ts";

/** A message of the client that is to be answered. */
interface Asked {
  readonly name: string;
  readonly about: About;
  /** A COPY FROM STDIN that has begun and not ended. */
  isCopying?: boolean;
}

/** What a reply is to, if it is to anything, or why it cannot be one. */
type Answered = { readonly to: About | undefined } | { readonly problem: Problem };

const asynchronous: ReadonlySet<string> = new Set(["ParameterStatus", "NoticeResponse", "NotificationResponse"]);
const copyEnds: ReadonlySet<string> = new Set(["CopyDone", "CopyFail"]);

/** Which replies a message may get, and which of them are its last one. */
const replies: Readonly<Record<string, { readonly may: readonly string[]; readonly last: readonly string[] }>> = {
  Parse: { may: [], last: ["ParseComplete"] },
  Bind: { may: [], last: ["BindComplete"] },
  Close: { may: [], last: ["CloseComplete"] },
  Describe: { may: ["ParameterDescription"], last: ["RowDescription", "NoData"] },
  Execute: {
    may: ["DataRow", "CopyInResponse", "CopyOutResponse", "CopyBothResponse", "CopyData", "CopyDone"],
    last: ["CommandComplete", "EmptyQueryResponse", "PortalSuspended"],
  },
  Query: {
    may: [
      ...["RowDescription", "DataRow", "CommandComplete", "EmptyQueryResponse", "CopyInResponse", "CopyOutResponse"],
      ...["CopyBothResponse", "CopyData", "CopyDone", "ErrorResponse"],
    ],
    last: ["ReadyForQuery"],
  },
  FunctionCall: { may: ["FunctionCallResponse", "ErrorResponse"], last: ["ReadyForQuery"] },
  Sync: { may: ["ErrorResponse"], last: ["ReadyForQuery"] },
};

/** See the head of the file. */
export class Conversation {
  #state: "login" | "skipping" | "open" | "over" = "login";
  readonly #asked: Asked[] = [];

  /** Whether replies are followed still. */
  get isFollowed(): boolean {
    return this.#state !== "over";
  }

  /** Follows no more: something of it is missing. */
  lose(): void {
    this.#state = "over";
  }

  /** The client's next message. */
  ask(name: string, about: About): void {
    if (this.#state === "over" || this.#state === "login") return;
    if (this.#state === "skipping") {
      if (name !== "Sync") return;
      this.#state = "open";
    }
    // What a server that copies gets instead of data is not answered.
    const copying = this.#asked.find(({ isCopying }) => isCopying);
    if (copying && copyEnds.has(name)) copying.isCopying = false;
    else if (copying) return;
    if (replies[name] || copyEnds.has(name)) this.#asked.push({ name, about });
  }

  /** The server's next message. */
  reply({ name, body }: WireMessage): Answered {
    if (this.#state === "over" || asynchronous.has(name)) return { to: undefined };
    if (name === "ErrorResponse" && isFatal(body)) {
      this.#state = "over";
      return { to: this.#asked[0]?.about };
    }
    if (this.#state === "login") {
      if (name === "ReadyForQuery") this.#state = "open";
      return { to: undefined };
    }
    while (this.#asked[0] && copyEnds.has(this.#asked[0].name)) this.#asked.shift();
    const [due] = this.#asked;
    if (!due)
      return this.#end(
        name === "ReadyForQuery" ? "ReadyForQuery count" : "foreign answer",
        `${name}, and had asked for nothing`,
      );
    const { may, last } = replies[due.name]!;
    if (last.includes(name)) this.#asked.shift();
    else if (may.includes(name)) this.#copy(due, name);
    else if (name === "ErrorResponse") this.#skip();
    else return this.#end("torn pipeline", `${name} where the reply to ${due.name} was due`);
    return { to: due.about };
  }

  #end(kind: Problem["kind"], what: string): Answered {
    this.#state = "over";
    return { problem: { kind, sentence: `got ${what}` } };
  }

  /** A COPY has begun: a Sync before its end means nothing. */
  #copy(due: Asked, name: string): void {
    if (name !== "CopyInResponse" || due.name !== "Execute") return;
    const end = this.#asked.findIndex((each) => copyEnds.has(each.name));
    if (end < 0) {
      this.#asked.splice(1);
      due.isCopying = true;
    } else {
      this.#asked.splice(1, end);
    }
  }

  /** After an error everything up to the next Sync is ignored. */
  #skip(): void {
    const sync = this.#asked.findIndex(({ name }) => name === "Sync");
    if (sync < 0) this.#state = "skipping";
    this.#asked.splice(0, sync < 0 ? this.#asked.length : sync);
  }
}

function isFatal(body: Buffer): boolean {
  const fields = readErrorFields(body);
  return /FATAL|PANIC/.test(fields.get("V") ?? fields.get("S") ?? "");
}
