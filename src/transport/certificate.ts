/**
 * A certificate and its key from files.
 *
 * Owns: reading them, and finding out before anything is opened whether they can be used. Does not own: the making of a
 * certificate (`self-signed.ts`), or TLS (`tls.ts`).
 * Invariant: every file that cannot be used is a `UsageError` that names its option and the file; no error shows a key.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";

/** PEM: a certificate, which may be followed by those that sign it, and its private key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A file, and how the option is called that names it. */
interface NamedFile {
  readonly option: string;
  readonly path: string;
}

/** Reads and checks both files. Throws a `UsageError`. */
export function readCertificate(certFile: NamedFile, keyFile: NamedFile): Certificate {
  const cert = read(certFile);
  const key = read(keyFile);
  const certificate = parseCertificate(cert, certFile);
  const privateKey = parseKey(key, keyFile);
  checkDates(certificate, certFile);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new UsageError(`${keyFile.option}: ${keyFile.path} is not the key of the certificate in ${certFile.path}`);
  }
  try {
    process.getBuiltinModule("node:tls").createSecureContext({ cert, key });
  } catch (error) {
    const sentence = `${certFile.option}: ${certFile.path} cannot be used for TLS: ${(error as Error).message}`;
    throw new UsageError(sentence, { cause: error });
  }
  return { cert, key };
}

function read({ option, path }: NamedFile): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read (${code})`;
    throw new UsageError(`${option}: ${what}`, { cause: error });
  }
}

function parseCertificate(pem: string, { option, path }: NamedFile): X509Certificate {
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new UsageError(`${option}: ${path} is not a certificate in PEM form (-----BEGIN CERTIFICATE-----)`);
  }
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new UsageError(`${option}: ${path} is not a valid certificate`, { cause: error });
  }
}

function parseKey(pem: string, { option, path }: NamedFile): KeyObject {
  if (!/-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(pem)) {
    throw new UsageError(`${option}: ${path} is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)`);
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new UsageError(`${option}: ${path} is encrypted; give a key without a passphrase`);
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new UsageError(`${option}: ${path} is not a valid private key`);
  }
}

function checkDates({ validFrom, validTo }: X509Certificate, { option, path }: NamedFile): void {
  const now = Date.now();
  if (Date.parse(validTo) < now) throw new UsageError(`${option}: ${path} expired on ${validTo}`);
  if (Date.parse(validFrom) > now) throw new UsageError(`${option}: ${path} is not valid before ${validFrom}`);
}
