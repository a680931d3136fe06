/**
 * Who may connect: the options about password, TLS and the address, as a step of a start.
 *
 * Owns: the rule that nobody from another machine gets in unasked by mistake, the choice of the certificate, and the file
 * that clients verify it with. Does not own: the password check and TLS (`transport/`).
 * Invariant: nothing is opened before every file has been checked; the key of a certificate that is made here is written
 * nowhere.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { nameOf, type ResolvedOptions } from "../options.ts";
import { inTemporaryDirectory } from "../system/temporary.ts";
import { type Certificate, readCertificate } from "../transport/certificate.ts";
import { makeSelfSigned } from "../transport/self-signed.ts";
import type { CleanupStack } from "./cleanup.ts";

/** What the listener and the clients need. */
export interface Access {
  readonly password: string | undefined;
  readonly certificate: Certificate | undefined;
  /** A file with a certificate that was made on the fly, for clients that verify; it goes with the server. */
  readonly certificateFile: string | undefined;
}

/** Checks the options and makes what they ask for. Throws a `UsageError` that names the option. */
export async function prepareAccess(options: ResolvedOptions, cwd: string, cleanup: CleanupStack): Promise<Access> {
  const { host, password } = options;
  requireProtection(options);
  const certificate = readNamedCertificate(options, cwd);
  if (certificate || options.tls === "off") return { password, certificate, certificateFile: undefined };
  const wildcard = host === "0.0.0.0" || host === "::";
  const made = await makeSelfSigned(wildcard ? [] : [host]);
  return {
    password,
    certificate: made,
    certificateFile: await writeForClients(nameOf(options, "tls"), made.cert, cleanup),
  };
}

/** Addresses that only this machine can reach. */
const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

function requireProtection(options: ResolvedOptions): void {
  const { host, password, insecure } = options;
  const family = isIP(host);
  const local = family === 0 ? host === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
  if (local || insecure || password !== undefined) return;
  throw new UsageError(
    `${nameOf(options, "host")}: other machines may reach ${host}, and nobody is asked for a password; ` +
      "set one with DEV_DB_PASSWORD or --password, or say --insecure if everybody may come in",
  );
}

function readNamedCertificate(options: ResolvedOptions, cwd: string): Certificate | undefined {
  const { tls, tlsCert, tlsKey, givenAs } = options;
  // Said outright, it wins over files that come from the environment or package.json.
  if (tls === "off" && givenAs.has("tls")) return undefined;
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  const [certName, keyName] = [nameOf(options, "tlsCert"), nameOf(options, "tlsKey")];
  if (tls === "auto") {
    const given = tlsCert === undefined ? keyName : certName;
    throw new UsageError(
      `${given}: with ${nameOf(options, "tls")} auto a certificate is made; leave one of the two out`,
    );
  }
  if (tlsKey === undefined)
    throw new UsageError(`${certName}: the key of the certificate is missing; name it with ${keyName}`);
  if (tlsCert === undefined)
    throw new UsageError(`${keyName}: the certificate of the key is missing; name it with ${certName}`);
  return readCertificate(
    { option: certName, path: resolve(cwd, tlsCert) },
    { option: keyName, path: resolve(cwd, tlsKey) },
  );
}

async function writeForClients(name: string, cert: string, cleanup: CleanupStack): Promise<string> {
  const directory = await cleanup.open(
    async () => inTemporaryDirectory(name, () => mkdtempSync(join(tmpdir(), "pglite-devdb-tls-"))),
    (made) => rmSync(made, { recursive: true, force: true }),
  );
  const file = join(directory, "certificate.pem");
  inTemporaryDirectory(name, () => writeFileSync(file, cert));
  return file;
}
