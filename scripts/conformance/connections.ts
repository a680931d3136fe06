/**
 * The connections of a specification.
 *
 * Owns: opening them as the isolation tester does, with its names and its query for waits; closing them all. Does not
 * own: the database they connect to (`server.ts`), what runs in them.
 * Invariant: all are open, or none. Mirrors main() in src/test/isolation/isolationtester.c of PostgreSQL's source, and
 * what pg_regress puts into the environment of the tester.
 */
import { BackendLink } from "./backend-link.ts";
import type { Spec } from "./spec.ts";
import type { TimeLimit } from "./time-limit.ts";

/** Where the specifications run. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** A permutation that could not be run to its end. */
export class PermutationFailed extends Error {
  override readonly name = "PermutationFailed";
}

/** One connection for each session and one that watches them. */
export interface Connections {
  readonly control: BackendLink;
  readonly sessions: readonly BackendLink[];
  /** How many notices each session has received. */
  readonly notices: number[];
  /** Receives everything that is printed. */
  readonly print: (text: string) => void;
  readonly limit: TimeLimit;
}

/** The prepared statement of the control connection that says whether a session waits for another one. */
export const waitQueryName = "isolationtester_waiting";

/** Opens the connections of a specification named `name`. Rejects with what the server said. */
export async function openConnections(
  place: Place,
  spec: Spec,
  name: string,
  print: (text: string) => void,
  limit: TimeLimit,
): Promise<Connections> {
  const notices = spec.sessions.map(() => 0);
  const opened: BackendLink[] = [];
  try {
    for (const [index, sessionName] of ["control connection", ...spec.sessions.map((one) => one.name)].entries()) {
      const onNotice = (text: string): void => {
        if (index === 0) return;
        print(`${sessionName}: ${text}`);
        notices[index - 1]!++;
      };
      const link = await BackendLink.open({ ...place, parameters: startupParameters(place, name), onNotice, limit });
      opened.push(link);
      const suffix = sessionName.replaceAll("'", "''");
      const sql = `select set_config('application_name', current_setting('application_name') || '/${suffix}', false)`;
      expectSuccess(await link.query(sql), "setting of application name");
    }
    const [control, ...sessions] = opened as [BackendLink, ...BackendLink[]];
    const pids = sessions.map(({ pid }) => pid).join(",");
    const isBlocked = `select pg_catalog.pg_isolation_test_session_is_blocked($1, '{${pids}}')`;
    expectSuccess(await control.prepare(waitQueryName, isBlocked), "prepare of lock wait query");
    return { control, sessions, notices, print, limit };
  } catch (error) {
    for (const link of opened) link.close("at once");
    throw error;
  }
}

/** Closes all connections. `at once` leaves it to the server to notice. */
export function closeConnections({ control, sessions }: Connections, how: "politely" | "at once"): void {
  for (const link of [...sessions, control]) link.close(how);
}

/** What libpq sends where pg_regress has set PGTZ, PGDATESTYLE and PGOPTIONS. */
function startupParameters({ user, database }: Place, name: string): Record<string, string> {
  return {
    user,
    database,
    application_name: `isolation/${name}`,
    timezone: "America/Los_Angeles",
    datestyle: "Postgres, MDY",
    options: "-c intervalstyle=postgres_verbose",
  };
}

function expectSuccess(result: Awaited<ReturnType<BackendLink["query"]>>, what: string): void {
  if (result.kind === "error") throw new PermutationFailed(`${what} failed: ${result.text.trim()}`);
}
