/**
 * A certificate made on the fly.
 *
 * Owns: its names, its dates and its extensions. Does not own: any trust: a client that verifies has to be given it.
 * Invariant: its key is new for every call and is written nowhere. Mirrors RFC 5280, section 4.2, and RFC 9525.
 */
import { generateKeyPair, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import type { Certificate } from "./certificate.ts";

const dayMs = 86_400_000;

/** How long it is good for: longer than a server runs, shorter than the year that some clients allow at most. */
const validDays = 365;

/** The names of this machine for itself. */
const localNames = ["localhost", "127.0.0.1", "::1"];

/** Makes a key and a certificate for this machine and for `names`, addresses or host names. Takes part of a second. */
export async function makeSelfSigned(names: readonly string[]): Promise<Certificate> {
  const { default: forge } = await import("node-forge");
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  // Not negative, and never the same twice: clients tell certificates of one issuer apart by it.
  certificate.serialNumber = `01${randomBytes(15).toString("hex")}`;
  certificate.validity.notBefore = new Date(Date.now() - dayMs);
  certificate.validity.notAfter = new Date(Date.now() + validDays * dayMs);
  const name = [
    { name: "commonName", value: "localhost" },
    { name: "organizationName", value: "pglite-devdb" },
  ];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectKeyIdentifier" },
    { name: "subjectAltName", altNames: [...new Set([...localNames, ...names])].map(altName) },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n"), key: privateKey };
}

/** GeneralName of RFC 5280: 7 is an address, which has no zone there, 2 a host name. */
function altName(name: string): { type: number; ip?: string; value?: string } {
  const address = name.replace(/%.*$/, "");
  return isIP(address) ? { type: 7, ip: address } : { type: 2, value: name };
}
