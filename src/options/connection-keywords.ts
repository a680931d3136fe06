/**
 * libpq's connection parameters, and what this project's own client does with each.
 *
 * Owns: their names, their environment variables, and the values that are refused because the client does not implement them. Does not
 * own: the syntax of a URL (`server-url.ts`).
 * Invariant: a parameter that would make a connection safer or lead elsewhere is implemented or refused, never ignored.
 */

/** The values of `sslmode`. */
export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

/** A value of `sslmode`. */
export type SslMode = (typeof sslModes)[number];

/** The values of `channel_binding`. */
export const channelBindings = ["disable", "prefer", "require"] as const;

/** One parameter. */
interface Keyword {
  /** The environment variable that sets it. */
  readonly variable?: string;
  /** The accepted values; any value if missing, none if empty. */
  readonly only?: readonly string[];
}

const anyValue = {};
const refused = { only: [] };
const falseWords = ["false", "off", "no", "0"];

/** The parameters by name. An object without `only` is implemented, or cannot change where and how safely a client connects. */
export const connectionKeywords: Readonly<Record<string, Keyword>> = {
  host: { variable: "PGHOST" },
  hostaddr: { variable: "PGHOSTADDR" },
  port: { variable: "PGPORT" },
  user: { variable: "PGUSER" },
  password: { variable: "PGPASSWORD" },
  passfile: { variable: "PGPASSFILE" },
  dbname: { variable: "PGDATABASE" },
  sslmode: { variable: "PGSSLMODE", only: sslModes },
  sslrootcert: { variable: "PGSSLROOTCERT" },
  connect_timeout: { variable: "PGCONNECT_TIMEOUT" },
  options: { variable: "PGOPTIONS" },
  application_name: { variable: "PGAPPNAME" },
  fallback_application_name: anyValue,
  client_encoding: { only: ["utf8", "utf-8", "unicode", "auto"] },
  channel_binding: { variable: "PGCHANNELBINDING", only: channelBindings },
  gssencmode: { variable: "PGGSSENCMODE", only: ["disable", "prefer"] },
  sslnegotiation: { variable: "PGSSLNEGOTIATION", only: ["postgres"] },
  sslcompression: { variable: "PGSSLCOMPRESSION", only: ["0"] },
  sslcertmode: { variable: "PGSSLCERTMODE", only: ["disable", "allow"] },
  ssl_min_protocol_version: { variable: "PGSSLMINPROTOCOLVERSION", only: ["tlsv1", "tlsv1.1", "tlsv1.2"] },
  target_session_attrs: { variable: "PGTARGETSESSIONATTRS", only: ["any"] },
  load_balance_hosts: { variable: "PGLOADBALANCEHOSTS", only: ["disable"] },
  min_protocol_version: { variable: "PGMINPROTOCOLVERSION", only: ["3.0"] },
  max_protocol_version: anyValue,
  replication: { only: falseWords },
  gssdelegation: { only: ["0"] },
  sslsni: anyValue,
  keepalives: anyValue,
  keepalives_idle: anyValue,
  keepalives_interval: anyValue,
  keepalives_count: anyValue,
  tcp_user_timeout: anyValue,
  krbsrvname: anyValue,
  gsslib: anyValue,
  service: { variable: "PGSERVICE", ...refused },
  servicefile: refused,
  sslcert: { variable: "PGSSLCERT", ...refused },
  sslkey: { variable: "PGSSLKEY", ...refused },
  sslpassword: refused,
  sslcrl: { variable: "PGSSLCRL", ...refused },
  sslcrldir: { variable: "PGSSLCRLDIR", ...refused },
  sslkeylogfile: refused,
  ssl_max_protocol_version: { variable: "PGSSLMAXPROTOCOLVERSION", ...refused },
  requirepeer: { variable: "PGREQUIREPEER", ...refused },
  require_auth: { variable: "PGREQUIREAUTH", ...refused },
  scram_client_key: refused,
  scram_server_key: refused,
};

/** Prisma's own parameters, which many a DATABASE_URL has. They change neither the server nor the login. */
export const prismaParameters: ReadonlySet<string> = new Set([
  "schema",
  "pgbouncer",
  "connection_limit",
  "pool_timeout",
  "socket_timeout",
  "statement_cache_size",
]);
