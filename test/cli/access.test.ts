/**
 * Password, TLS and the address as a person meets them: what is refused, what is shown, what is passed on, what is logged.
 */
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { selfSigned } from "../support/self-signed.ts";

const require = createRequire(import.meta.url);
const password = "it's a secret/ß";
const encoded = "it%27s%20a%20secret%2F%C3%9F";
const secretly = { DEV_DB_PASSWORD: password };
const options = ["--port", "0", "--migrations", "none", "--log-level", "debug"];

/** A directory with a certificate, its key, and what fits to neither. */
function certificates(): string {
  const directory = temporaryDirectory();
  const { cert, key } = selfSigned();
  const expired = selfSigned({ from: -3, to: -1 });
  const files = {
    "a.crt": cert,
    "a.key": key,
    "other.key": selfSigned().key,
    "old.crt": expired.cert,
    "old.key": expired.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

describe("exit 2, one sentence, and no data directory", () => {
  test.each<[string[], string]>([
    [["--host", "0.0.0.0"], "--host: other machines may reach 0.0.0.0, and nobody is asked for a password; "],
    [["--tls-cert", "a.crt"], "--tls-cert: the key of the certificate is missing; name it with --tls-key"],
    [["--tls-cert", "no.crt", "--tls-key", "a.key"], "--tls-cert: there is no file "],
    [["--tls-cert", "a.crt", "--tls-key", "other.key"], "--tls-key: "],
    [["--tls-cert", "a.key", "--tls-key", "a.key"], "--tls-cert: "],
    [["--tls-cert", "old.crt", "--tls-key", "old.key"], "--tls-cert: "],
    [
      ["--tls", "auto", "--tls-cert", "a.crt", "--tls-key", "a.key"],
      "--tls-cert: with --tls auto a certificate is made",
    ],
  ])("%j", async (args, sentence) => {
    const cwd = certificates();
    const end = await runCli(["--db", "data", ...args], { cwd });
    expect({ code: end.code, stdout: end.stdout, lines: end.stderr.split("\n").length }).toEqual({
      code: 2,
      stdout: "",
      lines: 2,
    });
    expect(end.stderr).toContain(`pglite-devdb: ${sentence}`);
    expect(existsSync(join(cwd, "data"))).toBe(false);
  });
});

describe("start", () => {
  test("with a password shows it in the ready text only, and lets in who knows it, on every address", async () => {
    const cli = startCli(["--host", "0.0.0.0", ...options], { environment: secretly });
    const [, url] = await cli.line(/ {2}URL {3}(\S+)/);
    expect(url).toMatch(new RegExp(`^postgresql://postgres:${encoded}@127\\.0\\.0\\.1:\\d+/postgres$`));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    expect((await client.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
    await client.end();
    const stranger = new pg.Client({ connectionString: url!.replace(encoded, "guess"), application_name: "stranger" });
    await expect(stranger.connect()).rejects.toMatchObject({ code: "28P01" });
    cli.child.kill("SIGTERM");
    const { code, stderr } = await cli.ended;
    expect(code).toBe(143);
    expect(stderr).toContain('28P01: password authentication failed for user "postgres"');
    expect(stderr).not.toMatch(/secret/);
  });

  test("with --insecure lets everybody in on every address", { tags: "long" }, async () => {
    const cli = startCli(["--host", "0.0.0.0", "--insecure", ...options]);
    const [, url] = await cli.line(/ {2}URL {3}(\S+)/);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.end();
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(143);
  });

  test("with files serves their certificate, and a module seed logs in with the password", async () => {
    const cwd = certificates();
    const driver = pathToFileURL(require.resolve("pg")).href;
    const seed = `
      import pg from ${JSON.stringify(driver)};
      export default async (url) => {
        const client = new pg.Client({ connectionString: url, ssl: { rejectUnauthorized: false } });
        await client.connect();
        await client.query("create table seeded as select 42 as n");
        await client.end();
      };`;
    writeFileSync(join(cwd, "seed.mjs"), seed);
    const files = ["--tls-cert", "a.crt", "--tls-key", "a.key"];
    const cli = startCli([...files, "--seed", "seed.mjs", "-o", "json", ...options], { cwd, environment: secretly });
    const ready = JSON.parse((await cli.line(/^\{.*\}$/m))[0]);
    expect(ready.certificateFile).toBeUndefined();
    const client = new pg.Client({ connectionString: ready.url, ssl: { rejectUnauthorized: false } });
    await client.connect();
    expect((await client.query("select n from seeded")).rows).toEqual([{ n: 42 }]);
    await client.end();
    cli.child.kill("SIGTERM");
    expect((await cli.ended).stderr).not.toMatch(/secret/);
  });
});

describe("run", () => {
  test("gives its command what a client needs to log in and to verify the server; nothing is left", async () => {
    const code = `
      const pg = require(${JSON.stringify(require.resolve("pg"))});
      (async () => {
        const client = new pg.Client();
        await client.connect();
        const { encrypted, authorized } = client.connection.stream;
        const { PGSSLMODE, PGSSLROOTCERT, PGPASSWORD, DATABASE_URL } = process.env;
        console.log(JSON.stringify({ encrypted, authorized, PGSSLMODE, PGSSLROOTCERT, PGPASSWORD, DATABASE_URL }));
        await client.end();
      })();`;
    const args = ["run", "--tls", "auto", ...options, "--", process.execPath, "-e", code];
    const end = await runCli(args, { environment: secretly });
    expect(end.code, end.stderr).toBe(0);
    const seen = JSON.parse(end.stdout);
    expect(seen).toEqual({
      encrypted: true,
      authorized: true,
      PGSSLMODE: "verify-ca",
      PGSSLROOTCERT: expect.stringMatching(/certificate\.pem$/),
      PGPASSWORD: password,
      DATABASE_URL: expect.stringContaining(`postgresql://postgres:${encoded}@127.0.0.1:`),
    });
    expect(existsSync(dirname(seen.PGSSLROOTCERT))).toBe(false);
    expect(end.stderr).toMatch(/postgresql:\/\/postgres@127\.0\.0\.1:\d+\/postgres is ready/);
    expect(end.stderr).not.toMatch(/secret/);
  });

  test("keeps what Node was told to trust before, if that can be read", { tags: "long" }, async () => {
    const trusted = join(certificates(), "a.crt");
    const code = "console.log(require('tls').getCACertificates?.('extra').length ?? 'unknown')";
    const args = ["run", "--tls", "auto", ...options, "--", process.execPath, "-e", code];
    for (const [file, count] of [
      [trusted, "2"],
      [`${trusted}.missing`, "1"],
    ] as const) {
      const end = await runCli(args, { environment: { NODE_EXTRA_CA_CERTS: file } });
      expect([count, "unknown"]).toContain(end.stdout.trim());
    }
  });
});
