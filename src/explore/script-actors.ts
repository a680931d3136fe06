/**
 * Actors that are described, not programmed: SQL on a connection, a command, an HTTP request.
 *
 * Owns: running one. Does not own: how it is described (`script.ts`).
 * Invariant: a transaction that has failed is rolled back, as an application would; a command has ended when its actor has.
 */
import { ServerClient } from "../dev-db/server-client.ts";
import { startShellCommand } from "../dev-db/shell-command.ts";
import { Type } from "../wire/frames.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { DatabaseError, readErrorFields } from "../wire/query-results.ts";
import type { Actor } from "./report.ts";

/** Where actors are run. */
export interface Stage {
  readonly url: string;
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly onLine: (line: string) => void;
  /** What is to be closed at the end. */
  readonly closers: (() => void)[];
}

/** Statements, one after the other, on a connection that stays for all schedules. */
export function sqlActor(statements: readonly string[], { url, closers }: Stage): Actor {
  let connecting: Promise<ServerClient> | undefined;
  closers.push(() => void connecting?.then((client) => client.close()).catch(() => {}));
  return async () => {
    connecting ??= ServerClient.connect(url, { connectTimeoutMs: 0 });
    const client = await connecting;
    for (const statement of statements) {
      const { status, failure } = await run(client, statement);
      if (!failure) continue;
      if (status !== "I") await run(client, "rollback");
      throw failure;
    }
  };
}

/** A command for the shell, with DATABASE_URL and PG* set. */
export function commandActor(command: string, { cwd, environment, onLine }: Stage): Actor {
  return async ({ signal }) => {
    const running = startShellCommand(command, { cwd, environment, onLine });
    const stop = (): void => void running.stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await running.ended;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  };
}

/** An HTTP request; an answer from 400 on is an error. */
export function requestActor(request: {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}): Actor {
  const { url, method, headers, body } = request;
  return async ({ signal }) => {
    const answer = await fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return text;
  };
}

async function run(client: ServerClient, statement: string) {
  let status = "I";
  let failure: DatabaseError | undefined;
  await client.execProtocolRawStream(encodeQuery(statement), {
    onRawData: (bytes) => {
      if (bytes[0] === Type.ErrorResponse)
        failure ??= new DatabaseError(readErrorFields(Buffer.from(bytes.subarray(5))));
      if (bytes[0] === Type.ReadyForQuery) status = String.fromCharCode(bytes[5]!);
    },
  });
  return { status, failure };
}
