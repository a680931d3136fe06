/**
 * The role that an agent logs in as, and the end of agents that were killed.
 *
 * Owns: its rights, its name, and the process that is written beside it. Does not own: the branch (`agent-branch.ts`).
 * Invariant: no such role is a superuser or a member of another one, so that there is nothing that a session of it could go back to; a role, with
 * its branches, is taken for a leftover only if its process is certainly dead.
 */
import { randomBytes } from "node:crypto";
import { quoteIdentifier, quoteLiteral } from "../../migrate/sql-quoting.ts";
import { judgeLiveness, ownIdentity, type ProcessIdentity } from "../../system/process-identity.ts";

/** Runs a query string as a superuser, in the source of the branch or in a database that an agent has; resolves with the rows of its last statement. */
type RunAsSuperuser = (sql: string, database?: string) => Promise<readonly (readonly (string | null)[])[]>;

const rolePrefix = "pglite_devdb_";
const branchPrefix = "mcp_";
/** What the comment of a role begins with; the identity of its process follows. */
const remark = "pglite-devdb mcp, of the process ";
/** More than the one that is in use: one that was given up may still be ending. */
const mostConnections = 5;

/** An agent's role, and the name of its branch. */
export interface AgentRole {
  readonly role: string;
  readonly branch: string;
}

/** Makes a role for an agent of this process: in one transaction with what says whose it is. */
export async function makeRole(run: RunAsSuperuser, password: string): Promise<AgentRole> {
  const branch = `${branchPrefix}${process.pid}_${randomBytes(4).toString("hex")}`;
  const role = `${rolePrefix}${branch}`;
  const rights = "login nosuperuser nocreatedb nocreaterole noreplication bypassrls noinherit";
  await run(`create role ${role} ${rights} connection limit ${mostConnections} password ${quoteLiteral(password)};
    comment on role ${role} is ${quoteLiteral(remark + JSON.stringify(await ownIdentity()))}`);
  return { role, branch };
}

/** Drops an agent's branches, whoever is connected to them, and its role. */
export async function dropAgent(run: RunAsSuperuser, { role, branch }: AgentRole): Promise<void> {
  for (const database of await branchesOf(run, branch)) await dropDatabase(run, database, " with (force)");
  await run(`drop role if exists ${role}`);
}

/** Drops what agents have left behind whose processes were killed. A branch that somebody looks at stays, with its role. */
export async function dropDeadAgents(run: RunAsSuperuser): Promise<void> {
  const self = await ownIdentity();
  const roles = await run(`select rolname, shobj_description(oid, 'pg_authid') from pg_roles
    where starts_with(rolname, ${quoteLiteral(rolePrefix + branchPrefix)})`);
  for (const [role, comment] of roles) {
    const identity = readIdentity(comment ?? "");
    if (!identity || (await judgeLiveness(identity, self)) !== "dead") continue;
    // Somebody else may be dropping the same.
    await dropUnused(run, { role: role!, branch: role!.slice(rolePrefix.length) }).catch(() => {});
  }
}

async function dropUnused(run: RunAsSuperuser, { role, branch }: AgentRole): Promise<void> {
  for (const database of await branchesOf(run, branch)) {
    const users = await run(`select pid from pg_stat_activity where datname = ${quoteLiteral(database)}`);
    // PostgreSQL would wait for them, for seconds.
    if (users.length > 0) return;
    await dropDatabase(run, database);
  }
  await run(`drop role if exists ${quoteIdentifier(role)}`);
}

async function branchesOf(run: RunAsSuperuser, branch: string): Promise<string[]> {
  const ending = quoteLiteral(`~${branch}`);
  const rows = await run(`select datname from pg_database where right(datname, length(${ending})) = ${ending}`);
  return rows.map(([database]) => database!);
}

/** Drops a database, whatever its owner, an agent, has done against that. */
export async function dropDatabase(run: RunAsSuperuser, database: string, how = ""): Promise<void> {
  await releaseDatabase(run, database);
  await run(`drop database if exists ${quoteIdentifier(database)}${how}`);
}

/** Takes back what keeps everybody from dropping a database: that it is a template, and prepared transactions. */
export async function releaseDatabase(run: RunAsSuperuser, database: string): Promise<void> {
  // One that was half dropped (-2) cannot be altered, and can be dropped.
  const its = `datname = ${quoteLiteral(database)} and datistemplate and datconnlimit <> -2`;
  const templates = await run(`select from pg_database where ${its}`);
  if (templates.length > 0) await run(`alter database ${quoteIdentifier(database)} is_template false`);
  const prepared = await run(`select gid from pg_prepared_xacts where database = ${quoteLiteral(database)}`);
  for (const [gid] of prepared) await run(`rollback prepared ${quoteLiteral(gid!)}`, database);
}

function readIdentity(comment: string): ProcessIdentity | undefined {
  if (!comment.startsWith(remark)) return undefined;
  try {
    return JSON.parse(comment.slice(remark.length));
  } catch {
    return undefined;
  }
}
