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
  takes: "a URL like postgresql://127.0.0.1:5432/postgres",
  fromText: (given) => {
    if (!/^postgres(?:ql)?:\/\//.test(given) || !URL.canParse(given)) return undefined;
    const { hostname, port, searchParams, username, password, pathname } = new URL(given);
    const host = searchParams.get("host") ?? (hostname === "" ? "127.0.0.1" : decodeURIComponent(hostname));
    const number = Number(searchParams.get("port") ?? (port === "" ? 5432 : port));
    const address = host.startsWith("/")
      ? { path: `${host}/.s.PGSQL.${number}` }
      : { host: host.replaceAll(/[[\]]/g, ""), port: number };
    const part = (text: string): string | undefined => (text === "" ? undefined : decodeURIComponent(text));
    return { address, user: part(username), password: part(password), database: part(pathname.slice(1)) };
  },
  fromData: () => undefined,
};
