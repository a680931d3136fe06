/** A server that is named by the directory of its Unix socket. */
import { chmodSync } from "node:fs";
import pg from "pg";
import { expect, test } from "vitest";
import { dropDirectory, makeDirectory } from "../../scripts/bench/leftovers.ts";
import { startDevDb } from "../../src/index.ts";
import { runCli } from "../support/cli-process.ts";
import { startRealPostgres } from "../support/real-postgres.ts";
import { requireNative } from "./support/native.ts";

test("a server in a socket directory is an engine, and the URL that clients get leads there", async (context) => {
  requireNative(context);
  const directory = makeDirectory();
  chmodSync(directory, 0o777);
  const server = await startRealPostgres({ unix_socket_directories: directory });
  try {
    const at = (database: string) => `postgresql:///${database}?host=${directory}&port=${server.port}&user=postgres`;
    await using db = await startDevDb({ engine: at("app"), migrations: "none" });
    const address = "select inet_client_addr() is null as by_socket, current_database()::text as database";
    const wanted = [{ by_socket: true, database: "app" }];
    const client = new pg.Client(db.url);
    await client.connect();
    expect((await client.query(address)).rows).toEqual(wanted);
    await client.query("create table t as select 1 as n");
    await client.end();
    expect(db.env).toMatchObject({ PGHOST: directory, PGPORT: String(server.port), PGDATABASE: "app" });
    const dump = await runCli(["dump", at("app")]);
    expect(dump).toMatchObject({ code: 0, stdout: expect.stringContaining("CREATE TABLE public.t") });
    const branch = await runCli(["branch", "--url", at("app"), "b"]);
    expect(branch).toMatchObject({ code: 0, stdout: `${at("app~b")}\n` });
  } finally {
    await server.stop();
    dropDirectory(directory);
  }
});
