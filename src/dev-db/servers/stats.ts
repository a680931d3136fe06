/**
 * `db.stats()` of a server that is not in this process, by its own views.
 *
 * Owns: the query, and what its words are here. Does not own: the handle.
 */
import type { ConnectionActivity, TransportStats } from "../../engine/listener.ts";
import type { ClientAddress } from "../address.ts";
import { rowsOf } from "./server-sql.ts";

const activity = `SELECT pid, usename, application_name, state, wait_event_type = 'Lock', left(query, 100),
  coalesce(extract(epoch FROM clock_timestamp() - state_change) * 1000, 0)::bigint, current_setting('max_connections')
  FROM pg_stat_activity WHERE backend_type = 'client backend' ORDER BY pid = pg_backend_pid(), pid`;

/** What goes on now; the last row is that of who asks. */
export async function statsOf(address: ClientAddress): Promise<TransportStats> {
  const rows = await rowsOf(address, address.database, activity);
  const connections = rows.slice(0, -1).map(
    ([pid, user, applicationName, state, waits, statement, ms]): ConnectionActivity => ({
      processId: Number(pid),
      user: user ?? "",
      applicationName: applicationName ?? "",
      state: stateOf(state ?? "", waits === "t"),
      statement: statement ?? "",
      forMs: Number(ms),
    }),
  );
  return {
    activeConnections: connections.length,
    queuedQueries: connections.filter(({ state }) => state === "waiting").length,
    maxConnections: Number(rows.at(-1)?.[7] ?? 0),
    connections,
  };
}

function stateOf(state: string, waits: boolean): ConnectionActivity["state"] {
  if (state === "active") return waits ? "waiting" : "running";
  return state.startsWith("idle in transaction") ? "idle in transaction" : "idle";
}
