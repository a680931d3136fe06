/**
 * The URL of a PostgreSQL server, wherever one is taken.
 *
 * Owns: which texts are one, and what its parts name. Does not own: which option it is the value of.
 * Invariant: no message says the password.
 */
import { UsageError } from "../errors.ts";

/** What is accepted, for messages. */
export const serverUrlForm = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE";

/** Undefined for a text that is none. What its parts name is not looked at: see `partsOf`. */
export function readServerUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" ? url : undefined;
}

/** The URL that an option or an argument has, which is called `name`. Throws a `UsageError` for one that cannot be used. */
export function requireServerUrl(text: string, name: string): URL {
  const url = readServerUrl(text);
  if (!url) throw new UsageError(`${name}: ${JSON.stringify(withoutPassword(text))} is not ${serverUrlForm}`);
  partsOf(url, name);
  return url;
}

/** As whom to log in, and where to; a URL without a user is that of "postgres". Throws a `UsageError` that begins with `name`, the URL's option. */
export function partsOf(url: URL, name: string): { user: string; password: string; database: string } {
  const part = (what: string, text: string) =>
    decoded(text, `${name}: the ${what} in its URL has`, what !== "password");
  const user = part("user", url.username) || "postgres";
  return {
    user,
    password: part("password", url.password),
    database: part("database", url.pathname.slice(1)) || user,
  };
}

function decoded(text: string, hasWhat: string, mayShow: boolean): string {
  const shown = mayShow ? `: ${JSON.stringify(text)}` : "";
  try {
    const name = decodeURIComponent(text);
    if (!name.includes("\0")) return name;
  } catch {
    throw new UsageError(`${hasWhat} a % that begins no character${shown}; a % itself is written as %25 there`);
  }
  throw new UsageError(`${hasWhat} the character %00, which no name in PostgreSQL has${shown}`);
}

/** A text that may have been meant as such a URL, or as what else names a server, for a message. */
export function withoutPassword(text: string): string {
  return text
    .replace(/^([^@]*?:\/\/)?([^:@]*:).*@/s, "$1$2…@")
    .replace(/(password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]*)/gi, "$1…");
}
