/**
 * A certificate made on the fly.
 *
 * Owns: its names, its dates and which extensions it has. Does not own: its encoding (`x509.ts`); any trust: a client that verifies has to be
 * given it.
 * Invariant: its key is new for every call and is written nowhere. Mirrors RFC 5280, section 4.2, and RFC 9525.
 */
import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import type { Certificate } from "./certificate.ts";

const dayMs = 86_400_000;

/** How long it is good for: longer than a server runs, shorter than the year that some clients allow at most. */
const validDays = 365;

/** The names of this machine for itself. */
const localNames = ["localhost", "127.0.0.1", "::1"];

/** Makes a key and a certificate for this machine and for `names`, addresses or host names. Takes part of a second. */
export async function makeSelfSigned(names: readonly string[]): Promise<Certificate> {
  // Most servers have no certificate, and start sooner without it.
  const x509 = await import("./x509.ts");
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const contents = {
    // Not negative, and never the same twice: clients tell certificates of one issuer apart by it.
    serialNumber: Buffer.concat([Uint8Array.of(1), randomBytes(15)]),
    from: new Date(Date.now() - dayMs),
    to: new Date(Date.now() + validDays * dayMs),
    commonName: "localhost",
    organization: "pglite-devdb",
    extensions: [
      x509.basicConstraints(),
      x509.keyUsage(),
      x509.extendedKeyUsage(),
      x509.subjectKeyIdentifier(privateKey),
      x509.subjectAltName([...new Set([...localNames, ...names])]),
    ],
  };
  const cert = x509.certify(contents, privateKey, x509.sha256WithRsa);
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}
