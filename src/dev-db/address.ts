/**
 * How a client reaches the server: a URL, and the environment variables of libpq.
 *
 * Owns: their spelling. Does not own: the listener.
 * Invariant: they name the bound port, and an address that can be connected to even if the server listens on all.
 */

import { reachableHost } from "../engine/listener.ts";
import { connectionKeywords } from "../options/connection-keywords.ts";
import { writeServerUrl } from "../options/server-url.ts";

/** A server that asks for no password is given one all the same: many drivers and tools insist on having one. */
const anyPassword = "postgres";

/** The parts of a connection. */
export interface ClientAddress {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Whether the server has TLS for who asks for it. */
  offersTls: boolean;
  /** What its certificate can be verified with, if that is known. */
  certificateFile?: string | undefined;
  /** Of a server that is not ours: what its URL has behind the `?`. */
  parameters?: string | undefined;
  /** The schema of Prisma's tables, which its URL names. */
  schema?: string | undefined;
}

/** What is known of a listener. */
interface Listening {
  host: string;
  port: number;
  password?: string | undefined;
  offersTls?: boolean | undefined;
}

/** The address for clients of a listener, who are told to log in as this user to this database. */
export function clientAddress(
  { host, port, password = anyPassword, offersTls = false }: Listening,
  { user, database }: Pick<ClientAddress, "user" | "database">,
): ClientAddress {
  return { host: reachableHost(host), port, user, password, database, offersTls };
}

/** The address as a URL that every driver takes. */
export function connectionUrl(address: ClientAddress): string {
  const { parameters, schema } = address;
  const named = schema === undefined ? "" : `schema=${encodeURIComponent(schema)}`;
  return writeServerUrl({ ...address, parameters: [parameters, named].filter(Boolean).join("&") });
}

/**
 * The address as environment variables: `DATABASE_URL` and those of libpq. With a certificate that was made on the fly
 * also what lets libpq and Node's TLS trust it.
 */
export function connectionEnvironment(address: ClientAddress): Record<string, string> {
  const { certificateFile } = address;
  return {
    DATABASE_URL: connectionUrl(address),
    PGHOST: address.host,
    PGPORT: String(address.port),
    PGUSER: address.user,
    ...(address.password === "" ? {} : { PGPASSWORD: address.password }),
    PGDATABASE: address.database,
    ...saidInUrl(address),
    ...(certificateFile === undefined ? {} : { PGSSLROOTCERT: certificateFile, NODE_EXTRA_CA_CERTS: certificateFile }),
  };
}

/** The other parameters in the URL of a server that this program did not start. */
function saidInUrl({ parameters, offersTls, certificateFile }: ClientAddress): Record<string, string> {
  if (parameters === undefined)
    return { PGSSLMODE: offersTls ? (certificateFile === undefined ? "require" : "verify-ca") : "disable" };
  const said: Record<string, string> = {};
  for (const pair of parameters.split("&")) {
    const [keyword = "", value = ""] = pair.split("=").map(decodeURIComponent);
    const variable = connectionKeywords[keyword]?.variable;
    if (variable !== undefined) said[variable] = value;
  }
  return said;
}

/** Variables of libpq that would lead a client past the host and port that are set here. */
const misleading = ["PGHOSTADDR", "PGSERVICE"];

/** The environment of a process that is to use a server: `own`, with `server`, which `connectionEnvironment` has made. */
export function environmentWith(own: NodeJS.ProcessEnv, server: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...own };
  for (const name of misleading) delete environment[name];
  return Object.assign(environment, server);
}
