/**
 * A server that runs, for the commands that ask it for something.
 *
 * Owns: how it is found, and what is said when it cannot be asked. Does not own: what it is asked for.
 */
import { Option } from "commander";
import { urlOfEngine } from "../dev-db/engines.ts";
import { ServerClient } from "../dev-db/server-client.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { ExitCode, ServerConnectionError, UsageError } from "../errors.ts";
import { quoteLiteral } from "../migrate/index.ts";
import { readServerUrl, writeServerUrl } from "../options/server-url.ts";
import { nameOf, optionTable, type ResolvedOptions } from "../options.ts";
import { DatabaseError } from "../wire/query-results.ts";

/** The flag that names it. */
export const urlFlag = new Option("--url <url>");

/** The lines about that flag in a help text; behind a blank line. */
export const urlHelp = `
  --url <url>     the database on a server that runs [env DATABASE_URL] [default postgresql://postgres:postgres@127.0.0.1:5432/postgres,
                  with the port and the password of DEV_DB_PORT and DEV_DB_PASSWORD]
`;

/** A server that is named by its URL. */
export interface NamedServer {
  /** As it was given, for output. */
  readonly given: string;
  /** With all that libpq would add, for connections. */
  readonly url: string;
  readonly database: string;
}

/** Where it is. Throws a `UsageError` for a URL that cannot be used. */
export function serverUrl(flag: unknown, environment: NodeJS.ProcessEnv): NamedServer {
  const text = flag ?? environment.DATABASE_URL;
  if (text === undefined) return read(defaultUrl(environment), "--url", {});
  return read(String(text), flag === undefined ? "DATABASE_URL" : "--url", environment);
}

/** The server that the argument of a command names, or --engine; undefined for none. Throws a `UsageError` for a URL that cannot be used. */
export function namedServer(
  command: string,
  argument: string | undefined,
  options: ResolvedOptions,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  if (argument !== undefined) return read(argument, `${command} URL`, environment).url;
  const engine = urlOfEngine(options);
  return engine && read(engine, nameOf(options, "engine"), environment).url;
}

function read(text: string, name: string, environment: NodeJS.ProcessEnv): NamedServer {
  const server = readServerUrl(text, name, environment);
  return { given: text, url: writeServerUrl(server), database: server.database };
}

function defaultUrl({ DEV_DB_PORT: port, DEV_DB_PASSWORD: password }: NodeJS.ProcessEnv): string {
  const secret = encodeURIComponent(password ?? "postgres");
  return `postgresql://postgres:${secret}@127.0.0.1:${port ?? optionTable.port.default}/postgres`;
}

/** How long an answer may take. */
const silenceMs = 30_000;

/** How a command connects. */
export function connectionOf(command: string) {
  return { parameters: { application_name: `pglite-devdb ${command}` }, silenceMs };
}

/** Runs statements one after the other on a connection of a command's; resolves with the rows of the last one. */
export async function queryServer(url: string, command: string, statements: readonly string[]) {
  const client = await ServerClient.connect(url, connectionOf(command));
  try {
    let rows: readonly (readonly (string | null)[])[] = [];
    for (const sql of statements) rows = (await executeSql(client, sql)).at(-1)?.rows ?? [];
    return rows;
  } finally {
    client.close();
  }
}

/** Calls a function of a server's own; resolves with its answer. `argument`: a text. */
export async function callOwnFunction(
  { url }: NamedServer,
  command: string,
  name: string,
  argument?: string,
): Promise<string> {
  const literal = argument === undefined ? "" : quoteLiteral(argument);
  const [row] = await inWords(
    command,
    () => queryServer(url, command, [`select pglite_devdb.${name}(${literal})`]),
    (code) => (code === "3F000" ? `; a ${command} needs a pglite-devdb with isolated sessions` : ""),
  );
  return row?.[0] ?? "";
}

/**
 * Resolves like `work`, and rejects with the command's message. `explain` has the text to add to PostgreSQL's error, by its SQLSTATE.
 * `another` is added if no server answers.
 */
export async function inWords<T>(
  command: string,
  work: () => Promise<T>,
  explain: (code: string) => string = () => "",
  another = "; use --url to name another server",
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof UsageError) throw new UsageError(`${command}: ${message}${another}`, { cause: error });
    if (error instanceof ServerConnectionError)
      throw new ServerConnectionError(`${command}: ${message}`, { cause: error });
    if (!(error instanceof DatabaseError)) throw error;
    const more = [error.fields.get("D"), error.fields.get("H")].filter((text) => text !== undefined);
    const text = [`${command}: ${message}${explain(error.code)}`, ...more].join("; ");
    throw Object.assign(new Error(text), { exitCode: ExitCode.failure });
  }
}
