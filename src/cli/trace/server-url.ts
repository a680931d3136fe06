/**
 * A server that is given by its URL.
 *
 * Owns: reading it. Does not own: connecting.
 */
import type { ValueKind } from "../../options/value-kinds.ts";
import type { Upstream } from "../../trace/record/proxy.ts";

/** What a URL says. */
export interface ServerUrl {
  readonly address: Upstream;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
}

/** `postgresql://user:password@host:port/database`, or with `?host=` the directory of a Unix socket. */
export const serverUrl: ValueKind<ServerUrl> = {
  takes: "a URL like postgresql://127.0.0.1:5432/postgres, with %25 for a % in a name",
  fromText: (given) => {
    if (!/^postgres(?:ql)?:\/\//.test(given) || !URL.canParse(given)) return undefined;
    try {
      return read(new URL(given));
    } catch (error) {
      if (error instanceof URIError) return undefined;
      throw error;
    }
  },
  fromData: () => undefined,
};

function read({ hostname, port, searchParams, username, password, pathname }: URL): ServerUrl {
  const host = searchParams.get("host") ?? (hostname === "" ? "127.0.0.1" : decodeURIComponent(hostname));
  const number = Number(searchParams.get("port") ?? (port === "" ? 5432 : port));
  const address = host.startsWith("/")
    ? { path: `${host}/.s.PGSQL.${number}` }
    : { host: host.replaceAll(/[[\]]/g, ""), port: number };
  const part = (text: string): string | undefined => (text === "" ? undefined : decodeURIComponent(text));
  return { address, user: part(username), password: part(password), database: part(pathname.slice(1)) };
}
