/**
 * The syntax of libpq's connection URLs.
 *
 * Owns: reading the connection parameters from the text. Does not own: the meaning of a parameter (`server-url.ts`).
 * Mirrors `conninfo_uri_parse_options` of libpq's fe-connect.c: the first `@` before a `/` ends the login, a parameter in the query wins, and `+` is a `+`.
 * Invariant: no message shows a password.
 */
import { UsageError } from "../errors.ts";
import { connectionKeywords, prismaParameters } from "./connection-keywords.ts";

/** The accepted form, for messages. */
export const serverUrlForm = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE";

const scheme = /^postgres(?:ql)?:\/\//;

/** Whether a text looks like the URL of a server. */
export function isServerUrl(text: string): boolean {
  return scheme.test(text);
}

/** The contents of a URL. */
interface UrlParts {
  /** The values by libpq's names. */
  readonly values: ReadonlyMap<string, string>;
  /** The query's other parameters, unchanged: those that name neither the server nor the login. */
  readonly parameters: readonly string[];
}

/** Returns the parts of a URL; `name` is its name in messages. Throws a `UsageError`. */
export function splitUrl(text: string, name: string): UrlParts {
  if (!isServerUrl(text))
    throw new UsageError(`${name}: ${JSON.stringify(withoutPassword(text))} is not ${serverUrlForm}`);
  const values = new Map<string, string>();
  const set = (keyword: string, what: string, part: string | undefined) => {
    if (part) values.set(keyword, decoded(part, `${name}: the ${what} in its URL has`, keyword !== "password"));
  };
  const [, login, place, path, query] = /^(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(
    text.replace(scheme, ""),
  )!;
  if (login !== undefined) {
    const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(login)!;
    set("user", "user", user);
    set("password", "password", password);
  }
  const { host, port } = hostAndPort(place ?? "", name);
  set("host", "host", host);
  set("port", "port", port);
  set("dbname", "database", path);
  const parameters = query ? readQuery(query, name, values) : [];
  return { values, parameters };
}

function hostAndPort(place: string, name: string): { host: string; port: string } {
  const hosts = [];
  const ports = [];
  for (const one of place.split(",")) {
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/s.exec(one) ?? [];
    if (bracketed === undefined && (plain === undefined || plain.includes("@"))) {
      throw new UsageError(
        `${name}: the URL has no valid host and port; in a user or password, write @ as %40, : as %3A, / as %2F and % as %25`,
      );
    }
    hosts.push(bracketed ?? plain);
    ports.push(port ?? "");
  }
  return { host: hosts.join(","), port: ports.join(",").replace(/^,+$/, "") };
}

/** Puts the query's parameters into `values`; returns those that name neither the server nor the login. */
function readQuery(query: string, name: string, values: Map<string, string>): string[] {
  const others = [];
  // libpq accepts one & at the end.
  for (const pair of query.replace(/(?<=.)&$/s, "").split("&")) {
    const [rawKey = "", rawValue, ...more] = pair.split("=");
    const key = decoded(rawKey, `${name}: the name of a parameter in its URL has`, true);
    if (rawValue === undefined || more.length > 0)
      throw new UsageError(`${name}: the parameter ${JSON.stringify(key)} in its URL must be NAME=VALUE, with one =`);
    const value = decoded(rawValue, `${name}: the parameter ${key} in its URL has`, !/password/.test(key));
    if (key === "requiressl" || (key === "ssl" && value === "true")) {
      const mode = key === "ssl" || value.startsWith("1") ? "require" : "prefer";
      values.set("sslmode", mode);
      others.push(`sslmode=${mode}`);
    } else if (Object.hasOwn(connectionKeywords, key)) {
      values.set(key, value);
      if (!namesServerOrLogin.has(key)) others.push(pair);
    } else if (prismaParameters.has(key)) others.push(pair);
    else
      throw new UsageError(
        `${name}: the URL has the unknown parameter ${JSON.stringify(key)}; use the parameters of libpq`,
      );
  }
  return others;
}

const namesServerOrLogin: ReadonlySet<string> = new Set(["host", "port", "user", "password", "dbname", "passfile"]);

function decoded(text: string, hasWhat: string, mayShow: boolean): string {
  const shown = mayShow ? `: ${JSON.stringify(text)}` : "";
  try {
    const plain = decodeURIComponent(text);
    if (!plain.includes("\0")) return plain;
  } catch {
    throw new UsageError(`${hasWhat} an invalid percent-encoded character${shown}; write % itself as %25`);
  }
  throw new UsageError(`${hasWhat} the character %00, which PostgreSQL does not allow${shown}`);
}

/** Removes the password from a text that may be a URL or another name of a server, for a message. */
export function withoutPassword(text: string): string {
  return text
    .replace(/^([^@]*?:\/\/)?([^:@]*:).*@/s, "$1$2…@")
    .replace(/(password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]*)/gi, "$1…");
}
