/**
 * A PostgreSQL server, by its URL: the one reader for all commands, options and connections.
 *
 * Owns: the meaning of a URL with libpq's defaults, and writing a URL. Does not own: the syntax (`url-syntax.ts`), the option that has the URL,
 * connecting (`dev-db/server-client.ts`).
 * Invariant: a URL that `writeServerUrl` has written needs no default, and means the same to libpq, to drivers and here.
 */
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { userInfo } from "node:os";
import { UsageError } from "../errors.ts";
import { channelBindings, connectionKeywords, type SslMode, sslModes } from "./connection-keywords.ts";
import { defaultPassfile, passwordFromFile } from "./passfile.ts";
import { splitUrl } from "./url-syntax.ts";
import { longestTimeoutMs } from "./value-kinds.ts";

export { isServerUrl, serverUrlForm, withoutPassword } from "./url-syntax.ts";

/** The place of a server, and the login. */
interface ServerPlace {
  /** A name, an address, or the directory of a Unix socket, which begins with `/`. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The URL's other parameters, percent-encoded, with `&` between them. */
  readonly parameters?: string | undefined;
}

/** The meaning of a URL. */
export interface ServerUrl extends ServerPlace {
  readonly parameters: string;
  /** The address to connect to instead of looking up `host`. */
  readonly hostAddress: string | undefined;
  readonly sslMode: SslMode;
  readonly channelBinding: (typeof channelBindings)[number];
  /** The file with the root certificates, or `system`. */
  readonly rootCertificate: string | undefined;
  /** 0 for no limit; undefined if neither the URL nor the environment says. */
  readonly connectTimeoutMs: number | undefined;
  readonly options: string | undefined;
  readonly applicationName: string | undefined;
  /** The values in the URL itself, by libpq's names. */
  readonly given: ReadonlyMap<string, string>;
}

const defaultPort = 5432;
/** Debian's, and PostgreSQL's own. */
const socketDirectories = ["/var/run/postgresql", "/tmp"];
/** Parameters of the environment that a URL must contain when it is passed on. */
const passedOn = [
  "hostaddr",
  "sslmode",
  "channel_binding",
  "sslrootcert",
  "connect_timeout",
  "options",
  "application_name",
];

/** For a URL that has all that it needs. */
const noEnvironment: NodeJS.ProcessEnv = {};

/** Reads the URL that messages call `name`, with the defaults of `environment`. Throws a `UsageError`. */
export function readServerUrl(text: string, name: string, environment: NodeJS.ProcessEnv = noEnvironment): ServerUrl {
  const { values: given, parameters } = splitUrl(text, name);
  const values = new Map(given);
  const from = new Map<string, string>();
  for (const [keyword, { variable }] of Object.entries(connectionKeywords)) {
    const value = variable === undefined ? undefined : environment[variable];
    if (!value || values.has(keyword)) continue;
    values.set(keyword, value);
    from.set(keyword, variable!);
  }
  if (!values.has("sslmode") && environment.PGREQUIRESSL?.startsWith("1")) {
    values.set("sslmode", "require");
    from.set("sslmode", "PGREQUIRESSL");
  }
  const value = (keyword: string) => values.get(keyword) || undefined;
  const called = (keyword: string) => from.get(keyword) ?? `${name}: the parameter ${keyword} in its URL`;
  for (const keyword of values.keys()) checkValue(keyword, values.get(keyword)!, called(keyword));
  const rootCertificate = value("sslrootcert");
  const port = readPort(values.get("port")?.trim(), called("port"));
  const host = value("host") ?? value("hostaddr") ?? defaultHost(port);
  const user = value("user") ?? userInfo().username;
  const place = { host, port, user, database: value("dbname") ?? user };
  const passfile = value("passfile") ?? defaultPassfile(environment);
  const more = passedOn
    .filter((keyword) => from.has(keyword))
    .map((keyword) => `${keyword}=${percentEncode(value(keyword)!)}`);
  return {
    ...place,
    password:
      value("password") ??
      (environment === noEnvironment ? "" : (passwordFromFile(passfile, nameInPassfile(place)) ?? "")),
    hostAddress: value("hostaddr"),
    sslMode: readSslMode(value("sslmode"), rootCertificate, called("sslmode")),
    channelBinding: channelBindings.find((one) => one === value("channel_binding")) ?? "prefer",
    rootCertificate,
    connectTimeoutMs: readTimeout(values.get("connect_timeout")?.trim(), called("connect_timeout")),
    options: value("options"),
    applicationName: value("application_name") ?? value("fallback_application_name"),
    parameters: [...parameters, ...more].join("&"),
    given,
  };
}

/** Parameters that are read further: another spelling would be the default. */
const exactly: ReadonlySet<string> = new Set(["sslmode", "channel_binding"]);

function checkValue(keyword: string, value: string, called: string): void {
  const { only } = connectionKeywords[keyword]!;
  if (/^(host|hostaddr|port)$/.test(keyword) && value.includes(","))
    throw new UsageError(`${called} names several servers: ${JSON.stringify(value)}; name one`);
  if (keyword === "hostaddr" && value !== "" && !isIP(value) && !/^[\da-fx.]+$/i.test(value))
    throw new UsageError(`${called} is ${JSON.stringify(value)}, but must be an IP address; write a name as host`);
  if (only?.length === 0) throw new UsageError(`${called} is not supported by pglite-devdb`);
  if (only && !only.includes(exactly.has(keyword) ? value : value.toLowerCase()))
    throw new UsageError(`${called} is ${JSON.stringify(value)}, but pglite-devdb supports only ${only.join(", ")}`);
}

function readPort(text: string | undefined, called: string): number {
  if (!text) return defaultPort;
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new UsageError(`${called} is ${JSON.stringify(text)}, but must be a whole number from 1 to 65535`);
  return port;
}

/** Reads seconds. As in libpq, 1 means 2, and 0 or less means no limit. */
function readTimeout(text: string | undefined, called: string): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!/^[+-]?\d{1,10}$/.test(text) || Math.abs(seconds) > 0x7fffffff)
    throw new UsageError(`${called} is ${JSON.stringify(text)}, but must be a whole number of seconds`);
  return seconds <= 0 ? 0 : Math.min(Math.max(2, seconds) * 1000, longestTimeoutMs);
}

function readSslMode(text: string | undefined, rootCertificate: string | undefined, called: string): SslMode {
  const mode = sslModes.find((one) => one === text);
  if (rootCertificate !== "system") return mode ?? "prefer";
  if (mode !== undefined && mode !== "verify-full")
    throw new UsageError(`${called} is "${mode}", but must be "verify-full" with sslrootcert=system`);
  return "verify-full";
}

/** As in libpq the Unix socket of this machine, if there is one. */
function defaultHost(port: number): string {
  if (process.platform === "win32") return "localhost";
  return socketDirectories.find((directory) => existsSync(`${directory}/.s.PGSQL.${port}`)) ?? "localhost";
}

function nameInPassfile<P extends { readonly host: string }>(place: P): P {
  return socketDirectories.includes(place.host) ? { ...place, host: "localhost" } : place;
}

/** The URL of a place. A socket's directory is a parameter, which drivers understand, too. */
export function writeServerUrl({ host, port, user, password, database, parameters }: ServerPlace): string {
  const isDirectory = isSocketDirectory(host);
  const shown = isDirectory
    ? "localhost"
    : host.includes(":")
      ? `[${host.replaceAll(/[^\w.:-]/gu, percentEncode)}]`
      : host.replaceAll(/[^\w.-]/gu, percentEncode);
  // One of ours is always given a password; of one that is not ours, nobody knows what it would make of it.
  const secret = password === "" ? "" : `:${percentEncode(password)}`;
  const all = [isDirectory ? `host=${percentEncode(host)}` : "", parameters ?? ""].filter((text) => text !== "");
  const query = all.length === 0 ? "" : `?${all.join("&")}`;
  return `postgresql://${percentEncode(user)}${secret}@${shown}:${port}/${encodeDatabase(database)}${query}`;
}

/** A URL as it was given, but of another database of its server. */
export function withDatabase(text: string, database: string): string {
  const [, before, query = ""] = /^([^:]*:\/\/(?:[^@/]*@)?[^/?]*)[^?]*(?:\?(.*))?$/s.exec(text)!;
  const isOther = (pair: string) => pair !== "" && decodeURIComponent(pair.split("=")[0]!) !== "dbname";
  const others = query.split("&").filter(isOther);
  return `${before}/${encodeDatabase(database)}${others.length === 0 ? "" : `?${others.join("&")}`}`;
}

/** Whether a host is the directory of a Unix socket. */
export function isSocketDirectory(host: string): boolean {
  return host.startsWith("/");
}

/** A branch's name has a `~`. No shell expands it after a slash, and postgres.js does not decode a database's name. */
function encodeDatabase(database: string): string {
  return percentEncode(database).replaceAll("%7E", "~");
}

/** Also what encodeURIComponent leaves and a shell would read as something else. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
