/**
 * What the client that proves readiness says, message by message: log in, `select 1`, go.
 *
 * Owns: the conversation, the password included. Does not own: the socket or the time (`readiness.ts`).
 * Invariant: pure; it ends in "ready" or by throwing what the server said or got wrong.
 */
import { encodeMessage, encodeQuery, encodeStartup } from "../wire/frontend.ts";
import { LoginClient } from "../wire/login-client.ts";
import type { BackendMessage } from "../wire/message-reader.ts";
import { readErrorFields } from "../wire/query-results.ts";

/** Who logs in where; `password` is a prepared one, said only if the server asks. */
interface ReadinessLogin {
  user: string;
  database: string;
  password: string;
}

/** One conversation. */
export class ReadinessDialog {
  readonly #login: ReadinessLogin;
  readonly #client: LoginClient;
  #rows = 0;
  #asked = false;

  constructor(login: ReadinessLogin) {
    this.#login = login;
    this.#client = new LoginClient(login.password);
  }

  /** The first thing to send. */
  start(): Buffer {
    const { user, database } = this.#login;
    // An event trigger ON LOGIN that lets nobody in must not keep the server from starting, or nobody could drop it.
    return encodeStartup({ user, database, application_name: "pglite-devdb readiness", event_triggers: "off" });
  }

  /** What to send next, if anything. A server that is full does answer, so 53300 is ready too. Throws otherwise. */
  receive({ type, body }: BackendMessage): Buffer | "ready" | undefined {
    switch (type) {
      case "R":
        return this.#client.answer(body);
      case "E":
        return readRefusal(body);
      case "D":
        this.#rows++;
        return undefined;
      case "Z":
        if (!this.#asked) {
          this.#asked = true;
          return Buffer.concat([encodeQuery("select 1"), encodeMessage("X")]);
        }
        if (this.#rows !== 1) throw new Error('"select 1" returned no row');
        return "ready";
      default:
        return undefined;
    }
  }
}

function readRefusal(body: Buffer): "ready" {
  const fields = readErrorFields(body);
  const code = fields.get("C");
  if (code === "53300") return "ready";
  throw new Error(`the server refused "select 1": ${fields.get("M")} (${code})`);
}
