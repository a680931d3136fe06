/**
 * The hash of a certificate that binds an authentication to a TLS connection: `tls-server-end-point`.
 *
 * Owns: the choice of the hash function. Does not own: the exchange in which it is used.
 * Invariant: pure; server and client compute the same from the same certificate. Mirrors RFC 5929, section 4.1, and
 * be_tls_get_certificate_hash() in src/backend/libpq/be-secure-openssl.c.
 */
import { createHash, X509Certificate } from "node:crypto";

/** The function by the signature algorithm, an OID in DER as hex digits; MD5 and SHA-1 are replaced by SHA-256. */
const hashFunctions: Readonly<Record<string, string>> = {
  // RSA: md5, sha1, sha256, sha384, sha512
  "2a864886f70d010104": "sha256",
  "2a864886f70d010105": "sha256",
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  // ECDSA: sha1, sha256, sha384, sha512
  "2a8648ce3d0401": "sha256",
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
};

/** The hash of the first certificate of a PEM text, or of a certificate in DER; undefined if its signature algorithm has no hash function of its own. */
export function hashForBinding(certificate: string | Buffer): Buffer | undefined {
  const { raw } = new X509Certificate(certificate);
  const name = hashFunctions[signatureAlgorithm(raw)];
  return name === undefined ? undefined : createHash(name).update(raw).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID … }, … } (RFC 5280, section 4.1). */
function signatureAlgorithm(certificate: Buffer): string {
  const signed = contents(certificate, contents(certificate, 0).start);
  const oid = contents(certificate, contents(certificate, signed.end).start);
  return certificate.toString("hex", oid.start, oid.end);
}

/** Where the contents of the DER value at `at` begin and end. */
function contents(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]!;
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const start = at + 2 + (first & 0x7f);
  return { start, end: start + der.readUIntBE(at + 2, first & 0x7f) };
}
