/**
 * The advisory lock that says that a run lives, and the connection that has it.
 *
 * Owns: holding it as long as the run lives, whatever the server or the network does to that connection. Does not own: what another run
 * makes of a lock that nobody has (`run-databases.ts`).
 */
import { setTimeout as delay } from "node:timers/promises";
import { executeSql } from "../../engine/execute-sql.ts";
import { type ClientAddress, connectionUrl } from "../address.ts";
import { ServerClient } from "../server-client.ts";

const againMs = 300;

/** A server's, a role's or a database's timeout would end a connection that does nothing else; before version 14 there is none. */
const neverIdle = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'";

/** Takes a lock, `key` being an expression in SQL, and takes it again whenever its connection was lost. Resolves with how to let go of it. */
export async function holdLock(address: ClientAddress, key: string): Promise<() => void> {
  let holder: ServerClient | undefined;
  let isWanted = true;
  const take = async () => {
    const client = await ServerClient.connect(connectionUrl(address), {
      onLost: () => {
        if (holder === client) void takeAgain();
      },
    });
    try {
      await executeSql(client, neverIdle);
      await executeSql(client, `SELECT pg_advisory_lock(${key})`);
    } catch (error) {
      client.close();
      throw error;
    }
    if (isWanted) holder = client;
    else client.close();
  };
  const takeAgain = async () => {
    for (holder = undefined; isWanted && !holder; ) {
      await take().catch(() => delay(againMs, undefined, { ref: false }));
    }
  };
  await take();
  return () => {
    isWanted = false;
    holder?.close();
  };
}
