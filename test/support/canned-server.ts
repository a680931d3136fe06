/**
 * A server that knows the right answers to a storm of one client, and gives another one where a test says so.
 *
 * Owns: the listener, and the encoding of replies. Does not own: what is right (`planQuery` says it).
 * Invariant: there is no engine behind it; queries are counted by their Query and Sync messages, over all connections,
 * so the shapes of the storm have to be those of one pipeline and its split `whole`.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Reply } from "../../src/trace/storm/exchange.ts";
import { planQuery, type StormChoice } from "../../src/trace/storm/query-plan.ts";
import type { ServerAddress } from "../../src/trace/storm/raw-connection.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { MessageReader } from "../../src/wire/message-reader.ts";

/**
 * The answer to one query: bytes to send, or what to do instead. `onceWatched` is sent late: when the storm's watch has
 * asked, or has come for the second time.
 */
export type CannedAnswer = Buffer | "silence" | { readonly cutAfter: Buffer } | { readonly onceWatched: Buffer };

/** How the server is to behave; everything that is left out is right. */
export interface CannedBehaviour {
  /** Gets the number of the query, from 0, and the right replies, without those that a Flush has asked for before. */
  answer?(query: number, right: readonly Reply[]): CannedAnswer | undefined;
  /** Whether the storm's watch, which asks on a connection of its own, is answered. */
  answersWatch?: boolean;
  /** Who is not let in: the connection is closed without a word. */
  refuses?: "everybody" | "watch";
}

/** A listening canned server. */
export interface CannedServer {
  readonly address: ServerAddress;
  /** How many clients of the storm logged in. */
  readonly logins: number;
  stop(): Promise<void>;
}

/** Starts one on a free port. */
export async function startCannedServer(choice: StormChoice, behaviour: CannedBehaviour): Promise<CannedServer> {
  const sockets = new Set<Socket>();
  let logins = 0;
  let watches = 0;
  let queries = 0;
  let sendLate = () => {};
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    const reader = new MessageReader();
    let isWatch: boolean | undefined;
    let step = 0;
    const answerMessage = (type: string): CannedAnswer | undefined => {
      if (!"HQS".includes(type)) return undefined;
      if (isWatch) {
        sendLate();
        return behaviour.answersWatch === false ? "silence" : encodeReplies(watchReplies);
      }
      const { steps } = planQuery(choice, 1, queries, 0);
      if (type === "H") return encodeReplies(steps[step++]!.replies);
      const right = steps.slice(step).flatMap(({ replies }) => replies);
      step = 0;
      const query = queries++;
      return behaviour.answer?.(query, right) ?? encodeReplies(right);
    };
    socket.on("data", (chunk: Buffer) => {
      if (isWatch === undefined) {
        isWatch = chunk.includes("storm watch");
        if (!isWatch) logins++;
        else if (++watches === 2) sendLate();
        const refused = behaviour.refuses === "everybody" || (isWatch && behaviour.refuses === "watch");
        if (refused) socket.destroy();
        else socket.write(encodeReplies([{ type: "Z", status: "I" }]));
        return;
      }
      for (const { type } of reader.push(chunk)) {
        const answer = answerMessage(type);
        if (Buffer.isBuffer(answer)) socket.write(answer);
        else if (typeof answer === "object" && "cutAfter" in answer) socket.end(answer.cutAfter);
        else if (typeof answer === "object") sendLate = () => void socket.write(answer.onceWatched);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  return {
    address: { host: "127.0.0.1", port: typeof bound === "object" && bound ? bound.port : 0 },
    get logins() {
      return logins;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const watchReplies: readonly Reply[] = [
  { type: "T", columns: 1 },
  { type: "D", values: ["1"] },
  { type: "C", tag: "SELECT 1" },
  { type: "Z", status: "I" },
];

/** Encodes replies as a server sends them. */
export function encodeReplies(replies: readonly Reply[]): Buffer {
  return Buffer.concat(replies.map(encodeReply));
}

function encodeReply(reply: Reply): Buffer {
  switch (reply.type) {
    case "t":
      return encodeMessage("t", int16(reply.parameters), Buffer.alloc(4 * reply.parameters));
    case "T":
      return encodeMessage(
        "T",
        int16(reply.columns),
        ...Array.from({ length: reply.columns }, () => ["name", Buffer.alloc(18)]).flat(),
      );
    case "D":
      return encodeMessage("D", int16(reply.values.length), ...reply.values.flatMap(encodeValue));
    case "C":
      return encodeMessage("C", reply.tag);
    case "E":
      return encodeMessage("E", "SERROR", `C${reply.code}`, "Mcanned", Buffer.from([0]));
    case "Z":
      return encodeMessage("Z", Buffer.from(reply.status));
    default:
      return encodeMessage(reply.type);
  }
}

function encodeValue(value: string | null): Buffer[] {
  const length = Buffer.alloc(4);
  if (value === null) {
    length.writeInt32BE(-1);
    return [length];
  }
  const bytes = Buffer.from(value);
  length.writeInt32BE(bytes.length);
  return [length, bytes];
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}
