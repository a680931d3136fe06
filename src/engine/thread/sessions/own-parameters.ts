/**
 * What the server's own sessions log in with.
 *
 * Owns: the parameters. Does not own: the sessions.
 * Why: an event trigger ON LOGIN is for clients. One that refuses or holds up everybody would keep the server from starting,
 * and there would be no way left to drop it; a client can say `event_triggers=off` as well.
 */

/** Startup parameters. */
export const ownParameters = { user: "postgres", database: "postgres", event_triggers: "off" } as const;
