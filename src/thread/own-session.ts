/**
 * The session of the process itself, for migrations, seeds and questions about the server.
 *
 * Owns: its one session, which begins with its first messages. Does not own: what is asked (`engine/execute-sql.ts`).
 * Invariant: one batch runs at a time; an end of the session is an error of the batch that it ends, and of those after it.
 */
import type { OwnLogin } from "../engine/engine.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import { ownParameters } from "../engine/thread/sessions/own-parameters.ts";
import { bytesInput, type Session } from "../engine/thread/sessions/session.ts";
import { readLogin } from "../transport/login-answer.ts";
import { encodeQuery } from "../wire/frontend.ts";

/** Its process id; those of clients are above it. */
export const ownNumber = 999;

type Settings = Readonly<Record<string, string>>;

/** See the head of the file. */
export class OwnSession {
  readonly #host: SessionHost;
  readonly #session: Promise<Session>;
  #last: Promise<unknown> = Promise.resolve();

  /** `number`: its process id; `settings`: what it begins with. */
  constructor(host: SessionHost, login: OwnLogin, number = ownNumber, settings: Settings = {}) {
    this.#host = host;
    this.#session = open(host, login, number, settings);
    this.#session.catch(() => {});
  }

  /** Resolves when PostgreSQL has let it in; rejects with why not. */
  get begun(): Promise<unknown> {
    return this.#session;
  }

  /** Runs frontend messages; resolves with all that they are answered with. */
  run(messages: Uint8Array): Promise<Uint8Array> {
    const answer = this.#last.then(() => this.#run(messages));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async close(): Promise<void> {
    await this.#last;
    const session = await this.#session.catch(() => undefined);
    if (session) await this.#host.closeSession(session);
  }

  async #run(messages: Uint8Array): Promise<Uint8Array> {
    const session = await this.#session;
    const answer: Uint8Array[] = [];
    const status = await session.run(bytesInput(messages), (bytes) => void answer.push(bytes.slice()));
    const said = Buffer.concat(answer);
    if (status === "ended") throw new Error(`PostgreSQL ended the session: ${said.toString("latin1")}`);
    return said;
  }
}

async function open(
  host: SessionHost,
  { user, database, isSuperuser }: OwnLogin,
  number: number,
  settings: Settings,
): Promise<Session> {
  const answer: Uint8Array[] = [];
  // Only a superuser can do without event triggers.
  const parameters = { ...(isSuperuser ? ownParameters : {}), ...settings, user, database };
  const session = await host.createSession(parameters, (bytes) => void answer.push(bytes.slice()), number);
  if (!session) throw new Error(`PostgreSQL refused a session: ${readLogin(Buffer.concat(answer)).error?.message}`);
  // A migration's DDL has the event triggers that it would have from any client.
  if (isSuperuser) await session.run(bytesInput(encodeQuery("set event_triggers = on")), () => undefined);
  return session;
}
