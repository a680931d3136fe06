/** Where clients are, as PostgreSQL tells it: the addresses and ports of the sockets, none over a Unix socket. */
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { errorFields, rows, WireClient } from "../support/wire-client.ts";

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const probe = createServer().once("error", () => resolve(false));
  probe.listen(0, "::1", () => probe.close(() => resolve(true)));
});

async function start(options: Parameters<typeof startDevDb>[0]): Promise<DevDb> {
  const db = await startDevDb({ port: 0, migrations: "none", log: () => {}, ...options });
  onTestFinished(() => db.close());
  return db;
}

async function connect(address: Parameters<typeof WireClient.login>[0]): Promise<WireClient> {
  const client = await WireClient.login(address);
  onTestFinished(() => client.destroy());
  return client;
}

const told = "host(inet_client_addr()), inet_client_port(), host(inet_server_addr()), inet_server_port()";
const listed = "host(client_addr), client_hostname, client_port";

async function addressesOf(client: WireClient): Promise<(string | null)[]> {
  const sql = `select ${told}, ${listed} from pg_stat_activity where pid = pg_backend_pid()`;
  return rows(await client.query(sql))[0]!;
}

test.each<readonly [host: string, address: string]>([
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ...(hasIpv6 ? [["::1", "::1"] as const, ["::", "127.0.0.1"] as const] : []),
])("a client of a server on %s has the address %s and its own port", async (host, address) => {
  const db = await start({ host, insecure: true });
  const port = Number(new URL(db.url).port);
  const [one, other] = [await connect({ host: address, port }), await connect({ host: address, port })];
  for (const client of [one, other]) {
    const own = String((client.socket.address() as AddressInfo).port);
    expect(await addressesOf(client)).toEqual([address, own, address, String(port), address, null, own]);
  }
  await db.reset();
  expect((await addressesOf(one))[0]).toBe(address);
});

test("a client of a Unix socket has no address", async () => {
  const directory = mkdtempSync(join(tmpdir(), "addresses-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const db = await start({ socketDir: directory });
  const client = await connect({ path: join(directory, `.s.PGSQL.${new URL(db.url).port}`) });
  expect(await addressesOf(client)).toEqual([null, null, null, null, null, null, "-1"]);
});

test.skipIf(!hasIpv6)("a server on localhost listens on both of its addresses, until it stops", async () => {
  const db = await start({ host: "localhost" });
  const port = Number(new URL(db.url).port);
  const [four, six] = [await connect({ host: "127.0.0.1", port }), await connect({ host: "::1", port })];
  expect((await addressesOf(four))[0]).toBe("127.0.0.1");
  expect((await addressesOf(six))[0]).toBe("::1");
  await db.close();
  expect(errorFields(await six.untilEnd())?.get("C")).toBe("57P01");
  for (const host of ["127.0.0.1", "::1"])
    await expect(WireClient.connect({ host, port })).rejects.toThrow("ECONNREFUSED");
});

test.skipIf(!hasIpv6)("a server on localhost starts where one of its addresses has another listener", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "::1", resolve));
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const log: string[] = [];
  await start({ host: "localhost", port, log: (_, line) => void log.push(line) });
  expect(log.join("\n")).toMatch(new RegExp(`warning: could not listen on ::1, port ${port}`));
  expect(await addressesOf(await connect({ host: "127.0.0.1", port }))).toContain("127.0.0.1");
});
