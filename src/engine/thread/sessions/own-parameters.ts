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
