/**
 * What the server's own sessions log in with.
 *
 * Owns: the parameters. Does not own: the sessions.
 * Why: an event trigger ON LOGIN is for clients. One that refuses or holds up everybody would keep the server from starting,
 * and there would be no way left to drop it; a client can say `event_triggers=off` as well.
 */

/** Whom and what every cluster has. */
export const ownLogin = { user: "postgres", database: "postgres" } as const;

/** Startup parameters. */
export const ownParameters = { ...ownLogin, event_triggers: "off" } as const;

/** What a session that copies databases begins with, too: nothing that is set for clients, by ALTER ROLE or in a database, may hinder it. */
export const unhindered = {
  search_path: "pg_catalog",
  default_transaction_read_only: "off",
  statement_timeout: "0",
  lock_timeout: "0",
  transaction_timeout: "0",
  idle_session_timeout: "0",
} as const;
