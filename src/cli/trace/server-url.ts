/**
 * A server that a trace is recorded of or played to, by its URL.
 *
 * Owns: which parts of a URL a trace can use. Does not own: reading it (`options/server-url.ts`), connecting.
 */
import { UsageError } from "../../errors.ts";
import { isServerUrl, isSocketDirectory, readServerUrl, serverUrlForm } from "../../options/server-url.ts";
import type { ValueKind } from "../../options/value-kinds.ts";
import type { Upstream } from "../../trace/record/proxy.ts";

/** What a URL says. */
export interface ServerUrl {
  readonly address: Upstream;
  /** The user and database that the URL names. Without these, each client of a trace uses its own. */
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly password: string | undefined;
}

/** The URL that a flag has. Its `fromText` throws a `UsageError` for a URL that cannot be used. */
export function serverUrlOf(flag: string): ValueKind<ServerUrl> {
  return {
    takes: `a URL like ${serverUrlForm}`,
    fromText: (given) => (isServerUrl(given) ? read(given, flag) : undefined),
    fromData: () => undefined,
  };
}

function read(text: string, flag: string): ServerUrl {
  const { host, hostAddress = host, port, password, sslMode, given } = readServerUrl(text, flag, process.env);
  const isSocket = isSocketDirectory(hostAddress);
  if (!isSocket && /^(require|verify-ca|verify-full)$/.test(sslMode))
    throw new UsageError(
      `${flag}: sslmode=${sslMode} is not supported: traces are recorded and replayed without TLS; use sslmode=disable`,
    );
  return {
    address: isSocket ? { path: `${hostAddress}/.s.PGSQL.${port}` } : { host: hostAddress, port },
    user: given.get("user"),
    database: given.get("dbname"),
    password: password === "" ? undefined : password,
  };
}
