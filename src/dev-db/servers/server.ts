/**
 * A PostgreSQL that is not in this process: one that we have started, or one that is elsewhere.
 *
 * Owns: what a start needs of one. Does not own: where it comes from (`native.ts`, `elsewhere.ts`), what is done in it (`open-server.ts`).
 */
import type { ClientAddress } from "../address.ts";

/** A server that answers. */
export interface Server {
  /** For clients: whom they are, and the database that is wanted, which need not be there yet. */
  readonly address: ClientAddress;
  /** A database that is there, in which others can be made. */
  readonly adminDatabase: string;
  /** Whether everything in it is ours; if not, some of it may be somebody else's. */
  readonly isOurs: boolean;
}
