/**
 * How a client reaches the server: a URL, and the environment variables of libpq.
 *
 * Owns: their spelling. Does not own: the listener.
 * Invariant: they name the bound port, and an address that can be connected to even if the server listens on all.
 */

/** The user that clients are told to log in as. */
const user = "postgres";

/** The server asks for no password; many drivers and tools insist on having one. */
const password = "postgres";

/** The parts of a connection. */
export interface ClientAddress {
  host: string;
  port: number;
  user: string;
  database: string;
}

/** The address for clients of a listener on `host` and `port`. */
export function clientAddress(listening: { host: string; port: number }): ClientAddress {
  const reachable: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  return { host: reachable[listening.host] ?? listening.host, port: listening.port, user, database: "postgres" };
}

/** The address as a URL that every driver takes. */
export function connectionUrl(address: ClientAddress): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `postgres://${address.user}:${password}@${host}:${address.port}/${address.database}`;
}

/** The address as environment variables: `DATABASE_URL` and those of libpq. */
export function connectionEnvironment(address: ClientAddress): Record<string, string> {
  return {
    DATABASE_URL: connectionUrl(address),
    PGHOST: address.host,
    PGPORT: String(address.port),
    PGUSER: address.user,
    PGPASSWORD: password,
    PGDATABASE: address.database,
    PGSSLMODE: "disable",
  };
}
