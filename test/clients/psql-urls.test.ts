/** The URL of a server means here what it means to psql: where to connect, as whom, to what, with what, or a refusal. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dropDirectory, makeDirectory } from "../../scripts/bench/leftovers.ts";
import { ServerClient } from "../../src/dev-db/server-client.ts";
import { readServerUrl, withDatabase, writeServerUrl } from "../../src/options/server-url.ts";

const hasPsql = (process.env.PATH ?? "").split(":").some((at) => existsSync(join(at, "psql")));

/** What a client has said to one of three servers: `one` and `two` on TCP, `socket` in a directory. */
interface Told {
  readonly server: string;
  readonly user?: string;
  readonly database?: string;
  readonly options?: string;
  readonly application_name?: string;
  readonly password?: string;
}

const servers: Server[] = [];
let directory: string;
let ports: { one: number; two: number };
let told: Told[] = [];

beforeAll(async () => {
  directory = makeDirectory();
  const one = await listen("one");
  const two = await listen("two");
  await listen("socket", join(directory, `.s.PGSQL.${two}`));
  ports = { one, two };
  writeFileSync(join(directory, "pass"), `# all\n127.0.0.1:${one}:d\\:b:me:from file\nlocalhost:*:*:*:of localhost\n`);
  chmodSync(join(directory, "pass"), 0o600);
  mkdirSync(join(directory, "home"));
});
afterAll(() => {
  for (const server of servers) server.close();
  dropDirectory(directory);
});

/** Asks for a cleartext password, and then lets nobody in. */
async function listen(name: string, path?: string): Promise<number> {
  const server = createServer((socket) => {
    let parameters: Record<string, string | undefined> = {};
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      // Terminate.
      if (bytes[0] === 0x58) return socket.end();
      if (bytes.readInt32BE(4) === 80877103) return socket.write("N");
      if (bytes[0] !== 0x70) {
        const words = bytes.toString("utf8", 8).split("\0");
        parameters = Object.fromEntries(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1]]] : [])));
        return socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
      }
      const { user, database, options, application_name } = parameters;
      const all = {
        server: name,
        user,
        database,
        options,
        application_name,
        password: bytes.toString("utf8", 5, bytes.length - 1),
      };
      told.push(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as Told);
      const body = "SFATAL\0C28P01\0Mno\0\0";
      const head = Buffer.from([0x45, 0, 0, 0, body.length + 4]);
      return socket.end(Buffer.concat([head, Buffer.from(body)]));
    });
  });
  servers.push(server);
  await new Promise<void>((listening) =>
    path ? server.listen(path, listening) : server.listen(0, "127.0.0.1", listening),
  );
  return path ? 0 : (server.address() as { port: number }).port;
}

async function byPsql(url: string, environment: NodeJS.ProcessEnv): Promise<Told | "refused"> {
  told = [];
  const child = spawn("psql", ["-w", "-X", url, "-c", "select 1"], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: "ignore",
  });
  await new Promise((ended) => child.once("close", ended));
  return told.at(-1) ?? "refused";
}

async function byOurs(url: string, environment: NodeJS.ProcessEnv): Promise<Told | "refused"> {
  told = [];
  try {
    await ServerClient.connect(writeServerUrl(readServerUrl(url, "--url", environment)));
  } catch {
    return told.at(-1) ?? "refused";
  }
  throw new Error("it was let in");
}

/** The servers' ports are 1001 and 1002 in a URL here, the directory is DIR. */
const real = (text: string) =>
  text
    .replaceAll("1001", String(ports.one))
    .replaceAll("1002", String(ports.two))
    .replaceAll("DIR", directory)
    .replaceAll("%D", encodeURIComponent(directory));

const p = "me:pw@127.0.0.1:1001";
test
  .skipIf(!hasPsql)
  .each<[url: string, environment?: Record<string, string>]>([
    [`postgresql://${p}/db`],
    [`postgres://${p}/db`],
    [`postgresql://${p}`],
    [`postgresql://${p}/`],
    [`postgresql://${p}/?dbname=other`],
    [`postgresql://${p}/db?dbname=other`],
    [`postgresql://${p}/db?port=1002`],
    [`postgresql://${p}/db?host=DIR&port=1002`],
    ["postgresql:///db?host=DIR&port=1002&user=me&password=pw"],
    ["postgresql://me:pw@%D:1002/db"],
    ["postgresql://me:pw@/db?host=%D&port=1002"],
    ["postgresql://me:pw@127.0.0.1/db", { PGPORT: "1001" }],
    ["postgresql:///", { PGHOST: "DIR", PGPORT: "1002", PGUSER: "eve", PGPASSWORD: "it's", PGDATABASE: "x y" }],
    ["postgresql://127.0.0.1:1001?user=a%40b&password=p%2Fw&dbname=c%3Fd"],
    [`postgresql://m%65:p%40%3A%2F@127.0.0.1:1001/d%20b`],
    [`postgresql://me:a+b@127.0.0.1:1001/a+b?application_name=c+d`],
    [`postgresql://me:a:b@127.0.0.1:1001/db`],
    [`postgresql://${p}/db?options=-c%20geqo%3Doff`],
    [`postgresql://${p}/db`, { PGOPTIONS: "-c geqo=off", PGAPPNAME: "of the environment" }],
    [`postgresql://${p}/db?sslmode=disable&connect_timeout=3&application_name=mine`],
    [`postgresql://${p}/db?sslmode=require`],
    [`postgresql://${p}/db?sslmode=verify-full`],
    [`postgresql://${p}/db?sslmode=nonsense`],
    [`postgresql://${p}/db`, { PGSSLMODE: "require" }],
    [`postgresql://${p}/db?sslmode=prefer&sslmode=allow`],
    [`postgresql://${p}/db`, { PGREQUIRESSL: "1" }],
    [`postgresql://${p}/db`, { PGREQUIRESSL: "1", PGSSLMODE: "disable" }],
    [`postgresql://${p}/db?requiressl=1`],
    [`postgresql://${p}/db?requiressl=0`],
    [`postgresql://${p}/db?requiressl=true`],
    [`postgresql://${p}/db?unknown=1`],
    [`postgresql://${p}/db?application_name=mine&`],
    [`postgresql://${p}/db?application_name=mine&&`],
    [`postgresql://${p}/db?&`],
    [`postgresql://${p}/db?connect_timeout=1000000`],
    [`postgresql://${p}/db?connect_timeout=3000000000`],
    [`postgresql://${p}/db?connect_timeout=`],
    [`postgresql://${p}/db?port`],
    [`postgresql://${p}/db?port=1=2`],
    [`postgresql://me:pw@127.0.0.1:port/db`],
    [`postgresql://me:pw@127.0.0.1:70000/db`],
    [`postgresql://me:50%off@127.0.0.1:1001/db`],
    [`postgresql://me:pw@127.0.0.1:1001/a%00b`],
    [`postgresql://me:p@w@127.0.0.1:1001/db`],
    [`postgresql://me:p/w@127.0.0.1:1001/db`],
    [`postgresql://me:pw@[127.0.0.1:1001/db`],
    [`postgresql://me:pw@elsewhere.invalid:1001/db?hostaddr=127.0.0.1`],
    [`postgresql://${p}/db?hostaddr=127.1`],
    [`postgresql://${p}/db?hostaddr=localhost`],
    [`postgresql://${p}/db?hostaddr=DIR&port=1002`],
    ["postgresql://me@127.0.0.1:1001/d%3Ab", { PGPASSFILE: "DIR/pass" }],
    ["postgresql://me@127.0.0.1:1001/d%3Ab?passfile=%D%2Fpass"],
    ["postgresql://me@localhost:1001/other", { PGPASSFILE: "DIR/pass" }],
    ["postgresql://me@127.0.0.1:1001/other", { PGPASSFILE: "DIR/pass" }],
  ])("%s with %o means what it means to psql", async (url, variables = {}) => {
  const environment = {
    HOME: join(directory, "home"),
    ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, real(value)])),
  };
  const [theirs, ours] = [await byPsql(real(url), environment), await byOurs(real(url), environment)];
  const comparable = (one: Told | "refused") =>
    typeof one === "object" && /^(psql|pglite-devdb)$/.test(one.application_name ?? "")
      ? { ...one, application_name: "own" }
      : one;
  expect(comparable(ours)).toEqual(comparable(theirs));
});

test("a URL with several servers is refused, in the URL and in the environment", () => {
  for (const [url, environment] of [
    ["postgresql://u@a,b/x", {}],
    ["postgresql://u@a:1,b:2/x", {}],
    ["postgresql:///x", { PGHOST: "a,b" }],
    ["postgresql://h/x?host=a,b", {}],
  ] as const)
    expect(() => readServerUrl(url, "--url", environment)).toThrow(/(PGHOST|--url).*several servers.*name one/);
});

test.each([
  "sslcert=c",
  "require_auth=scram-sha-256",
  "channel_binding=Require",
  "gssencmode=require",
  "service=s",
  "target_session_attrs=primary",
])("a parameter that is not implemented is refused: %s", (parameter) => {
  expect(() => readServerUrl(`postgresql://h/x?${parameter}`, "--url")).toThrow(
    new RegExp(`--url: the parameter ${parameter.split("=")[0]} .*pglite-devdb`),
  );
});

test("Prisma's parameters are accepted and passed on", () => {
  const url = "postgresql://u@h:5432/x?schema=app&pgbouncer=true";
  expect(writeServerUrl(readServerUrl(url, "--url"))).toBe(url);
});

test("a URL without a user is that of the operating system's user", () => {
  expect(readServerUrl("postgresql://h", "--url")).toMatchObject({
    user: userInfo().username,
    database: userInfo().username,
  });
});

test("the URL of another database keeps everything else as it was given", () => {
  for (const [url, wanted] of [
    ["postgresql://u:p%40w@h:1/a?sslmode=require", "postgresql://u:p%40w@h:1/a~b?sslmode=require"],
    ["postgresql://h?dbname=a&host=/s", "postgresql://h/a~b?host=/s"],
    ["postgres:///a", "postgres:///a~b"],
    ["postgresql://u:p?w@h:1/a", "postgresql://u:p?w@h:1/a~b"],
    ["postgresql://u:p?w@h?db%6Eame=a&options=x", "postgresql://u:p?w@h/a~b?options=x"],
  ] as const)
    expect(withDatabase(url, "a~b")).toBe(wanted);
});

test.each(["fe80::1%eth0", "[::1]", "a:b", "😀.invalid", "a b"])(
  "the written URL of a host has that host: %s",
  (host) => {
    const written = writeServerUrl({ host, port: 1, user: "u", password: "p", database: "d" });
    expect(readServerUrl(written, "--url").host).toBe(host);
  },
);
