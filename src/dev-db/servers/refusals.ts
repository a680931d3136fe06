/**
 * Options that an engine has no place for.
 *
 * Owns: which those are, and the sentence about each. Does not own: the engines (`../engines.ts`).
 * Invariant: nothing that was asked for is passed over; what asks for nothing in particular (any port, isolated sessions) is taken.
 */
import { UsageError } from "../../errors.ts";
import { nameOf, type OptionKey, type ResolvedOptions } from "../../options.ts";

/** Why an option is refused, worded to follow its name and value, and values that are accepted all the same. */
interface Refusal {
  readonly why: string;
  readonly accepts?: readonly unknown[];
}

/** By option. */
export type Refusals = Partial<Readonly<Record<OptionKey, Refusal>>>;

const needsPglite = "is for the engine pglite only; leave it out";
const bySet = (setting: string) => `is for the engine pglite only; PostgreSQL has --set ${setting}`;

/** Of every PostgreSQL that is not PGlite. */
const notPglite: Refusals = {
  sessions: { why: "has no other value than isolated; leave it out", accepts: ["isolated"] },
  branches: {
    why: "is for the engine pglite only; make branches by db.branch(), useDatabase() or pglite-devdb branch",
    accepts: ["off"],
  },
  icuLocale: { why: "is for the engine pglite only; on other servers use CREATE DATABASE … LOCALE_PROVIDER icu" },
  branchTtlMs: { why: needsPglite, accepts: [0] },
  perGitBranch: { why: needsPglite, accepts: [false] },
  seedRandom: { why: needsPglite },
  memoryLimitMb: { why: needsPglite },
  resets: { why: "is for the engine pglite only; give each test a branch", accepts: ["off"] },
  stallTimeoutMs: { why: needsPglite },
  trace: { why: "is for the engine pglite only; pglite-devdb trace record is for any server" },
  traceLimitMb: { why: needsPglite },
  traceOnFailure: { why: "is for the engine pglite only; pglite-devdb trace record is for any server" },
};

/** Of a native PostgreSQL that is started here. */
export const refusedByNative: Refusals = {
  ...notPglite,
  host: { why: "can only be 127.0.0.1; leave it out", accepts: ["127.0.0.1", "localhost"] },
  socketDir: { why: "cannot be had, as it listens on 127.0.0.1 only; leave it out" },
  password: { why: "is generated here, and is in DATABASE_URL and PGPASSWORD; leave it out" },
  tls: { why: needsPglite, accepts: ["off"] },
  tlsCert: { why: needsPglite },
  tlsKey: { why: needsPglite },
  insecure: { why: needsPglite, accepts: [false] },
  idleTimeoutMs: { why: bySet("idle_session_timeout=60s"), accepts: [0] },
  transactionIdleTimeoutMs: { why: bySet("idle_in_transaction_session_timeout=60s"), accepts: [0] },
};

const itsOwn = "is a matter of the server that is there; leave it out";
const inUrl = "is in the URL of --engine; leave it out";

/** Of a server that is elsewhere. */
export const refusedByUrl: Refusals = {
  ...notPglite,
  port: { why: `${inUrl}, or say 0`, accepts: [0] },
  host: { why: inUrl },
  socketDir: { why: itsOwn },
  password: { why: inUrl },
  tls: { why: `${itsOwn}; ?sslmode=require in its URL asks it for TLS`, accepts: ["off"] },
  tlsCert: { why: itsOwn },
  tlsKey: { why: itsOwn },
  insecure: { why: itsOwn },
  db: { why: "is a matter of the server that is there; leave it out, or say memory://", accepts: ["memory://"] },
  fsync: { why: itsOwn },
  user: { why: inUrl },
  set: { why: `${itsOwn}; ?options=-c%20work_mem%3D64MB in its URL is for the connections of one who uses it` },
  cache: { why: itsOwn, accepts: [true] },
  maxConnections: { why: itsOwn },
  idleTimeoutMs: { why: itsOwn, accepts: [0] },
  transactionIdleTimeoutMs: { why: itsOwn, accepts: [0] },
  logSlowMs: { why: itsOwn },
};

/** Throws a `UsageError` that names the first option that is refused. */
export function refuseOptions(options: ResolvedOptions, refusals: Refusals, engine: string): void {
  for (const [key, { why, accepts = [] }] of Object.entries(refusals) as [OptionKey, Refusal][]) {
    const value = options[key];
    const isGiven = options.givenAs.has(key) && !(Array.isArray(value) && value.length === 0);
    if (isGiven && !accepts.includes(value))
      throw new UsageError(`${nameOf(options, key)}: with --engine ${engine} this ${why}`);
  }
}
