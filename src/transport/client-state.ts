/**
 * What a client's session is doing, and what it needs of all sessions together.
 *
 * Owns: these types. Does not own: the session (`client-session.ts`).
 */
import type { SessionHost } from "../sessions/host.ts";

/** What is needed of all sessions together. */
export type SessionsOf = Pick<SessionHost, "createSession" | "closeSession" | "cancel" | "computes" | "crashed">;

/**
 * `attached`: there is no session yet. `running`: it has a batch, which runs, waits for something or for its turn.
 * `ending`: it is being ended from here. `over`: there is none any more, or the client has been told why there is none.
 */
export type State = "attached" | "starting" | "idle" | "running" | "ending" | "over";
