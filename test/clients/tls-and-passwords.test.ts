/**
 * Real clients with TLS and a password: each proves the server, is proved, and is refused where one of the two is wrong.
 *
 * The checks of the programs are those of their own test files: over TLS they must come out the same.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import pg from "pg";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { selfSigned } from "../support/self-signed.ts";
import { compileJava, expectRight, javaProgram, pythonProgram } from "./support/check-program.ts";
import { requireClient } from "./support/installed.ts";
import { psql, psqlLines } from "./support/psql.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

// A space, an umlaut, and what URLs, shells and SQL treat as special.
const password = "pä ss'w\"ö$rd/@:?#%";
const directory = mkdtempSync(join(tmpdir(), "tls-clients-"));
const otherCertificate = join(directory, "other.pem");
let server: ServerProcess;

beforeAll(async () => {
  writeFileSync(otherCertificate, selfSigned().cert);
  server = await startOurs(["--tls", "auto", "--password", password]);
});
afterEach(() => server.expectHealthy());
afterAll(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** The URL with parameters of libpq, and the root certificate that is to be used. */
function urlWith(parameters: Record<string, string>, change: (url: URL) => void = () => {}): string {
  const url = new URL(server.url);
  change(url);
  const { search } = new URL(`x:?${new URLSearchParams(parameters)}`);
  return url.href + search;
}

const verified = () => ({ sslmode: "verify-full", sslrootcert: server.certificateFile! });
const wrong = (url: URL) => {
  url.password = "wrong";
};

describe("psql", () => {
  const encryption = "SSL connection (protocol: TLSv1.3";

  test.each(["prefer", "require", "verify-ca", "verify-full"])("sslmode=%s is encrypted", async (sslmode) => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const url = urlWith({ ...verified(), sslmode }, (to) => {
        to.hostname = host;
      });
      expect((await psqlLines(url, ["-c", "\\conninfo"])).join("\n")).toContain(encryption);
    }
  });

  test("sslmode=disable is served in the clear, with the password all the same", async () => {
    expect(await psqlLines(urlWith({ sslmode: "disable" }), ["-c", "select 1"])).toEqual(["1"]);
    const refused = await psql(urlWith({ sslmode: "disable" }, wrong), ["-c", "select 1"]);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining('FATAL:  password authentication failed for user "postgres"'),
    ]);
  });

  test("channel_binding=require works over TLS, and is psql's own refusal without", async () => {
    const bound = urlWith({ ...verified(), channel_binding: "require" });
    expect(await psqlLines(bound, ["-c", "select 1"])).toEqual(["1"]);
    const unbound = await psql(urlWith({ sslmode: "disable", channel_binding: "require" }), ["-c", "select 1"]);
    expect(unbound.stderr).toContain("channel binding required");
  });

  test("another certificate and another name are psql's own refusals", async () => {
    const other = await psql(urlWith({ ...verified(), sslrootcert: otherCertificate }), ["-c", "select 1"]);
    expect(other.stderr).toContain("certificate verify failed");
    const elsewhere = await psql(
      urlWith({ ...verified(), hostaddr: "127.0.0.1" }, (to) => {
        to.hostname = "db.test";
      }),
      ["-c", "select 1"],
    );
    expect(elsewhere.stderr).toMatch(/does not match host name "db.test"/);
  });
});

describe("pg", () => {
  const connect = async (config: pg.ClientConfig) => {
    const client = new pg.Client({ connectionString: server.url, ...config });
    await client.connect();
    return client;
  };

  test("verifies the certificate, and binds where it is told to", async () => {
    for (const enableChannelBinding of [false, true]) {
      const ca = readFileSync(server.certificateFile!, "utf8");
      const client = await connect({ ssl: { ca }, enableChannelBinding } as pg.ClientConfig);
      const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
      expect([stream.encrypted, stream.authorized]).toEqual([true, true]);
      expect((await client.query("select $1::int as n", [7])).rows).toEqual([{ n: 7 }]);
      await client.end();
    }
  });

  test("works without TLS; is refused for a wrong password; refuses an unknown certificate", async () => {
    const client = await connect({});
    expect((await client.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
    await client.end();
    await expect(connect({ connectionString: urlWith({}, wrong) })).rejects.toMatchObject({ code: "28P01" });
    await expect(connect({ ssl: true })).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });
});

describe("postgres.js", () => {
  test.each(["require", "prefer", "verify", "nothing"])("with ssl: %s", async (mode) => {
    const ca = readFileSync(server.certificateFile!, "utf8");
    const ssl = mode === "verify" ? { ca } : mode === "nothing" ? false : (mode as "require" | "prefer");
    const sql = postgres(server.url, { ssl, max: 4 });
    try {
      const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => sql`select ${n}::int * 2 as n`));
      expect(answers.map(([row]) => row?.n)).toEqual([2, 4, 6, 8, 10, 12]);
    } finally {
      await sql.end({ timeout: 5 });
    }
  });

  test("with a wrong password", async () => {
    const sql = postgres(urlWith({}, wrong), { max: 1 });
    await expect(sql`select 1`).rejects.toMatchObject({ code: "28P01", severity: "FATAL" });
    await sql.end({ timeout: 5 });
  });
});

describe("programs in other languages, verifying the certificate", { tags: "long" }, () => {
  test("psycopg 3: transactions and COPY", async (context) => {
    requireClient(context, "psycopg 3");
    const program = pythonProgram("with_psycopg.py");
    expectRight(await program("transactions", urlWith(verified()), 6), "transactions", 271);
    expectRight(await program("copy", urlWith({ ...verified(), channel_binding: "require" }), 6), "copy", 48);
    expect((await program("many", urlWith(verified(), wrong), 1)).all).toContain("password authentication failed");
  });

  test("asyncpg: a pool", async (context) => {
    requireClient(context, "asyncpg");
    const program = pythonProgram("with_asyncpg.py");
    expectRight(await program("pool", urlWith(verified()), 6), "pool", 450);
    expect((await program("many", urlWith(verified(), wrong), 1)).all).toContain("InvalidPasswordError");
  });

  test("JDBC: transactions", async (context) => {
    requireClient(context, "JDBC");
    const classes = join(directory, "classes");
    await compileJava(classes);
    const program = javaProgram(classes);
    expectRight(await program("transactions", urlWith(verified()), 6), "transactions", 242);
    expect((await program("transactions", urlWith(verified(), wrong), 1)).all).toContain(
      "password authentication failed",
    );
  });
});
