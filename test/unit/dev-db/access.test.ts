/** Who may connect: the rule about addresses, and which certificate is used. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { prepareAccess } from "../../../src/dev-db/access.ts";
import { CleanupStack } from "../../../src/dev-db/cleanup.ts";
import { UsageError } from "../../../src/errors.ts";
import { type OptionSources, resolveOptions } from "../../../src/options.ts";
import { selfSigned } from "../../support/self-signed.ts";

let cleanup = new CleanupStack();
afterEach(async () => {
  await cleanup.close();
  cleanup = new CleanupStack();
});

const prepare = (sources: OptionSources, cwd = ".") => prepareAccess(resolveOptions(sources), cwd, cleanup);

async function refusal(sources: OptionSources, cwd?: string): Promise<string> {
  const error = await prepare(sources, cwd).catch((caught) => caught);
  expect(error).toBeInstanceOf(UsageError);
  return error.message;
}

describe("an address that others may reach", () => {
  const others = [
    "0.0.0.0",
    "::",
    "192.0.2.1",
    "10.0.0.1",
    "2001:db8::1",
    "fe80::1%eth0",
    "db.test",
    "::ffff:10.0.0.1",
  ];
  const own = ["127.0.0.1", "127.0.0.2", "localhost", "::1", "0:0:0:0:0:0:0:1"];

  test.each(others)("%s needs a password, or the word that it does not", async (host) => {
    expect(await refusal({ flags: { host } })).toBe(
      `--host: other machines may reach ${host}, and nobody is asked for a password; ` +
        "set one with DEV_DB_PASSWORD or --password, or say --insecure if everybody may come in",
    );
    expect(await refusal({ environment: { DEV_DB_HOST: host } })).toMatch(/^DEV_DB_HOST: /);
    await prepare({ flags: { host, password: "x" } });
    await prepare({ flags: { host, insecure: "true" } });
    await refusal({ flags: { host }, environment: { DEV_DB_INSECURE: "0" } });
  });

  test.each(own)("%s is not one", async (host) => {
    expect(await prepare({ flags: { host } })).toEqual({
      password: undefined,
      certificate: undefined,
      certificateFile: undefined,
    });
  });
});

describe("TLS", () => {
  const directory = () => {
    const path = mkdtempSync(join(tmpdir(), "access-"));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    const { cert, key } = selfSigned();
    writeFileSync(join(path, "a.crt"), cert);
    writeFileSync(join(path, "a.key"), key);
    return { path, cert, key };
  };
  const files = { tlsCert: "a.crt", tlsKey: "a.key" };

  test("auto makes a certificate, and a file of it without the key, which goes at the end", async () => {
    const { certificate, certificateFile } = await prepare({ flags: { tls: "auto" } });
    expect(readFileSync(certificateFile!, "utf8")).toBe(certificate!.cert);
    expect(readFileSync(certificateFile!, "utf8")).not.toContain("PRIVATE");
    if (process.platform !== "win32") expect(statSync(dirname(certificateFile!)).mode & 0o777).toBe(0o700);
    await cleanup.close();
    expect(existsSync(dirname(certificateFile!))).toBe(false);
  });

  test("files are taken relative to the directory, and are not copied", async () => {
    const { path, cert, key } = directory();
    expect(await prepare({ flags: files }, path)).toEqual({
      password: undefined,
      certificate: { cert, key },
      certificateFile: undefined,
    });
  });

  test("a word against TLS wins over files, two ways to have it exclude each other", async () => {
    const { path } = directory();
    expect((await prepare({ flags: { tls: "off" }, packageJson: files }, path)).certificate).toBeUndefined();
    expect(await refusal({ flags: { tls: "auto" }, packageJson: files }, path)).toMatch(
      /^tlsCert in the "pglite-devdb" key of package\.json: .*--tls auto\b/,
    );
  });

  test("a certificate without its key, and a key without its certificate, are refused", async () => {
    const { path } = directory();
    expect(await refusal({ flags: { tlsCert: "a.crt" } }, path)).toMatch(/^--tls-cert: .*--tls-key\b/);
    expect(await refusal({ environment: { DEV_DB_TLS_KEY: "a.key" } }, path)).toMatch(
      /^DEV_DB_TLS_KEY: .*--tls-cert\b/,
    );
    expect(await refusal({ flags: { ...files, tlsKey: "b.key" } }, path)).toContain("--tls-key: there is no file ");
  });
});

test("a start that is told to end while the certificate is made leaves no file of it behind", async () => {
  const own = mkdtempSync(join(tmpdir(), "devdb-access-"));
  vi.stubEnv("TMPDIR", own);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(own, { recursive: true });
  });
  const preparing = prepare({ flags: { tls: "auto" } });
  await cleanup.close();
  await expect(preparing).rejects.toThrow("stopped");
  expect(readdirSync(own)).toEqual([]);
});
