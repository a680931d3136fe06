/**
 * A branch for one agent, and what it may do there.
 *
 * Owns: making it when it is first used, its end, and the connection and the time of each request. Does not own: the role (`agent-role.ts`), the tools
 * (`../../cli/mcp/`).
 * Invariant: one request after the other, each on a connection of its own, so that none of them finds anything that another one has set, and an agent that
 * thinks holds nothing; the agent's own text is only ever run as its role, and never for longer than its time.
 */
import { randomBytes } from "node:crypto";
import { branchDatabase } from "../../engine/branches.ts";
import { executeSql } from "../../engine/execute-sql.ts";
import { quoteLiteral } from "../../migrate/sql-quoting.ts";
import { readServerUrl, withDatabase, writeServerUrl } from "../../options/server-url.ts";
import { DatabaseError } from "../../wire/query-results.ts";
import { compareContents, type Differences } from "../schema/compare.ts";
import { readContents } from "../schema/read.ts";
import { ensureBranch } from "../server-branches.ts";
import { ServerClient } from "../server-client.ts";
import { type AgentRole, dropAgent, dropDatabase, dropDeadAgents, makeRole, releaseDatabase } from "./agent-role.ts";
import { giveAllTo } from "./own-objects.ts";

/** What an agent is given. */
interface AgentOptions {
  /** The database that is to be copied, as a superuser; asked for at the first request. */
  readonly source: () => Promise<string>;
  /** Whether it may change its branch. */
  readonly mayWrite: boolean;
  readonly statementTimeoutMs: number;
  /** Whether its branch stays when it ends. */
  readonly keeps: boolean;
}

const parameters = { application_name: "pglite-devdb mcp" };
/** The agent owns the functions of the event triggers in its branch, and must not have a superuser run them: not at his login either, since version 17. */
const withoutTriggers = { session_replication_role: "replica" };
const withoutLoginTriggers = { event_triggers: "off" };
/** Nor is a superuser to do its work by what the agent has set for all who connect to its branch: as another role, say, or in a millisecond. */
const withoutItsSettings = {
  role: "none",
  search_path: "pg_catalog",
  default_transaction_read_only: "off",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: "0",
};
/** Since version 17, as `event_triggers`. */
const withoutItsLimit = { transaction_timeout: "0" };
/** How long a request may take beyond what a statement may. */
const graceMs = 2_000;
/** How long a server may say nothing that is to end a backend. */
const terminationMs = 10_000;
/** invalid_catalog_name, invalid_authorization_specification, invalid_password: the server was started anew. */
const isGone = new Set(["3D000", "28000", "28P01"]);

interface Made extends AgentRole {
  /** Of a superuser's connections to the branch. */
  readonly guarded: Readonly<Record<string, string>>;
  readonly sourceUrl: string;
  readonly database: string;
  /** As the agent's role. */
  readonly url: string;
}

/** See the head of the file. */
export class AgentBranch {
  readonly #options: AgentOptions;
  #made: Made | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** Gives up the agent's statement that runs. */
  #giveUp: (reason: Error) => void = () => {};
  #hasEnded = false;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** Runs `work` on a connection to the branch; `hold` has all of it undone. */
  use<T>(work: (client: ServerClient) => Promise<T>, hold = false): Promise<T> {
    return this.#inTurn(async () => {
      const made = await this.#make();
      // Meanwhile.
      if (this.#hasEnded) throw sessionIsEnding();
      const limitMs = this.#options.statementTimeoutMs + graceMs;
      const given = new AbortController();
      this.#giveUp = (reason) => given.abort(reason);
      // A statement may catch its cancellation, and so may a login trigger, which no statement_timeout ends; none of them has to be silent.
      const late = () => given.abort(new Error(`the request was not over within ${limitMs / 1000} s, and was ended`));
      const timer = setTimeout(late, limitMs);
      let client: ServerClient | undefined;
      try {
        client = await this.#connect(made, given.signal);
        // Who has a snapshot cannot make the transaction one that writes.
        if (!this.#options.mayWrite) await executeSql(client, "begin transaction read only; select 1");
        else if (hold) await executeSql(client, "begin");
        return await work(client);
      } catch (error) {
        // It may run on.
        if (!(error instanceof DatabaseError)) await this.#terminate(made);
        throw given.signal.aborted ? given.signal.reason : error;
      } finally {
        clearTimeout(timer);
        client?.close();
      }
    });
  }

  /** What is different in the branch. */
  diff(): Promise<Differences> {
    return this.#inTurn(async () => {
      const made = await this.#make();
      const before = await readContents(made.sourceUrl, parameters);
      const after = await readContents(withDatabase(made.sourceUrl, made.database), made.guarded);
      const { schema, rows } = compareContents(before, after);
      // All was given to the agent's role when the branch was made.
      const isOurs = ({ kind, after: owner }: { kind: string; after?: string }) =>
        kind === "owner" && owner === made.role;
      return { schema: schema.filter((each) => !isOurs(each)), rows };
    });
  }

  /** A new copy in its place. */
  reset(): Promise<string> {
    return this.#inTurn(async () => {
      const made = await this.#make();
      await dropDatabase(runnerOf(made), made.database, " with (force)");
      await runAt(made.sourceUrl, `alter role ${made.role} reset all`);
      await copy(made);
      return made.database;
    });
  }

  /** Ends what runs, and drops the branch, or keeps it; resolves with the URL of one that is kept. */
  async end(): Promise<string | undefined> {
    this.#hasEnded = true;
    this.#giveUp(sessionIsEnding());
    await this.#last.catch(() => {});
    const made = this.#made;
    this.#made = undefined;
    if (!made) return undefined;
    const run = runnerOf(made);
    if (!this.#options.keeps) {
      await dropAgent(run, made);
      return undefined;
    }
    const url = withDatabase(made.sourceUrl, made.database);
    await releaseDatabase(run, made.database);
    await runAt(url, `reassign owned by ${made.role} to current_user; drop owned by ${made.role}`, made.guarded);
    await run(`drop role ${made.role}`);
    return url;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(() => {
      if (this.#hasEnded) throw sessionIsEnding();
      return work();
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #make(): Promise<Made> {
    if (this.#made) return this.#made;
    const sourceUrl = await this.#options.source();
    const run = (sql: string) => runAt(sourceUrl, sql);
    const [facts] = await run(`select rolsuper, rolname, current_setting('server_version_num')::int >= 170000,
      version() like '%(PGlite %'
      from pg_roles where rolname = current_user`);
    if (facts?.[0] !== "t")
      throw new Error(
        `${facts?.[1]} is no superuser: one has to make the role that an agent's statements are run as; --url with one's URL`,
      );
    const since17 = facts[2] === "t" && { ...withoutLoginTriggers, ...withoutItsLimit };
    const guarded = { ...parameters, ...withoutTriggers, ...withoutItsSettings, ...since17 };
    const runner = runnerOf({ sourceUrl, guarded });
    await dropDeadAgents(runner);
    const server = readServerUrl(sourceUrl, "the server");
    // A server of ours has one password for all roles; to any other the superuser's own would be given away.
    const isOurs = facts[3] === "t";
    const secret = (isOurs && server.password) || randomBytes(16).toString("hex");
    const agent = await makeRole(run, secret);
    try {
      const database = branchDatabase(server.database, agent.branch);
      const url = writeServerUrl({ ...server, database, user: agent.role, password: secret });
      const made: Made = { ...agent, sourceUrl, database, url, guarded };
      await copy(made);
      this.#made = made;
      return made;
    } catch (error) {
      await dropAgent(runner, agent).catch(() => {});
      throw error;
    }
  }

  async #connect(made: Made, signal: AbortSignal): Promise<ServerClient> {
    const { statementTimeoutMs, mayWrite } = this.#options;
    const limits = {
      statement_timeout: String(statementTimeoutMs),
      ...(!mayWrite && { default_transaction_read_only: "on" }),
    };
    try {
      return await ServerClient.connect(made.url, { parameters: { ...parameters, ...limits }, signal });
    } catch (error) {
      if (!(error instanceof DatabaseError) || !isGone.has(error.code)) throw error;
      this.#made = undefined;
      // What there still is of it: its role.
      await dropAgent(runnerOf(made), made).catch(() => {});
      throw new Error(`the branch ${made.database} is gone: ${error.message}; the next request has a new one`, {
        cause: error,
      });
    }
  }

  async #terminate({ sourceUrl, role }: Made): Promise<void> {
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity where usename = ${quoteLiteral(role)}`;
    await runAt(sourceUrl, sql, parameters, terminationMs).catch(() => {});
  }
}

/** The copy, with all in it the agent's. */
async function copy({ sourceUrl, database, role, guarded }: Made): Promise<void> {
  const { database: template } = readServerUrl(sourceUrl, "the server");
  const url = withDatabase(sourceUrl, database);
  await ensureBranch({ url, database, template, parameters }, (sql) => runAt(sourceUrl, sql));
  await runAt(url, giveAllTo(role), guarded);
}

/** In the source, or in a database in which an agent may have left something that runs. */
function runnerOf({ sourceUrl, guarded }: Pick<Made, "sourceUrl" | "guarded">) {
  return (sql: string, database?: string) =>
    database === undefined ? runAt(sourceUrl, sql) : runAt(withDatabase(sourceUrl, database), sql, guarded);
}

async function runAt(url: string, sql: string, its: Readonly<Record<string, string>> = parameters, silenceMs = 0) {
  const client = await ServerClient.connect(url, { parameters: its, silenceMs });
  try {
    return (await executeSql(client, sql)).at(-1)?.rows ?? [];
  } finally {
    client.close();
  }
}

function sessionIsEnding(): Error {
  return new Error("the session is ending");
}
