/**
 * One statement, asked of a server that runs, by a client that is there for nothing else.
 *
 * Owns: its socket and what it says. Does not own: what is asked (`cli/branch.ts`).
 * Invariant: it ends in an answer, in the server's error, in a socket error or by its deadline, and leaves no socket behind.
 */
import { connect } from "node:net";
import { encodeMessage, encodeQuery, encodeStartup } from "../wire/frontend.ts";
import { LoginClient } from "../wire/login-client.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { DatabaseError, readErrorFields, readQueryResults, type StatementResult } from "../wire/query-results.ts";
import { preparePassword } from "../wire/scram.ts";

/** How long it may take. */
const timeoutMs = 30_000;

/** Where the server is, and the startup parameters. */
interface AskedServer {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  readonly parameters: { readonly user: string; readonly database: string; readonly [name: string]: string };
}

/** Resolves with the rows of a statement. Rejects with a `DatabaseError` if the server refuses it, or the login. */
export async function askServer(
  { host, port, password, parameters }: AskedServer,
  sql: string,
): Promise<StatementResult["rows"]> {
  const answers = new LoginClient(await preparePassword(password));
  const socket = connect({ host, port, noDelay: true });
  const messages = new MessageReader();
  const answer: Buffer[] = [];
  let isAsked = false;
  try {
    return await new Promise((resolve, reject) => {
      socket.setTimeout(timeoutMs, () => reject(new Error(`the server did not answer within ${timeoutMs / 1000} s`)));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the server closed the connection before it answered")));
      const receive = (type: string, body: Buffer): void => {
        if (type === "R") {
          const next = answers.answer(body);
          if (next) socket.write(next);
        }
        if (type === "E" && !isAsked) throw new DatabaseError(readErrorFields(body));
        if (isAsked) answer.push(encodeMessage(type, body));
        if (type !== "Z") return;
        if (isAsked) resolve(readQueryResults(Buffer.concat(answer)).at(-1)?.rows ?? []);
        else socket.write(encodeQuery(sql));
        isAsked = true;
      };
      socket.on("data", (chunk: Buffer) => {
        try {
          for (const { type, body } of messages.push(chunk)) receive(type, body);
        } catch (error) {
          reject(error);
        }
      });
      socket.write(encodeStartup(parameters));
    });
  } finally {
    socket.end(encodeMessage("X"));
    socket.setTimeout(1000, () => socket.destroy());
  }
}
