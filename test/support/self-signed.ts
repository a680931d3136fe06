/**
 * A self-signed certificate for TLS in tests, with the least that one can have.
 *
 * Owns: its key and its dates. Does not own: its encoding (`src/transport/x509.ts`); any trust: clients have to be told to take it.
 * Invariant: made anew in each process, so that no private key is kept anywhere.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { certify, type SignatureKind } from "../../src/transport/x509.ts";

const sha256WithEcdsa: SignatureKind = { hash: "sha256", oid: "1.2.840.10045.4.3.2" };

/** A key and a certificate for it, as PEM, good for two days around now, or for the days `from` to `to` from now. */
export function selfSigned({ from = -1, to = 1 } = {}): { key: string; cert: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return signedWith(privateKey, sha256WithEcdsa, { from, to });
}

/** A certificate for that key, and the key. */
export function signedWith(
  privateKey: KeyObject,
  kind: SignatureKind,
  { from, to } = { from: -1, to: 1 },
): { key: string; cert: string } {
  const day = (days: number) => new Date(Date.now() + days * 86_400_000);
  const contents = { serialNumber: Uint8Array.of(1), from: day(from), to: day(to), commonName: "localhost" };
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: certify(contents, privateKey, kind),
  };
}
