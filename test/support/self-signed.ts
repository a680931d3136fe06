/**
 * A self-signed certificate for TLS in tests.
 *
 * Owns: its key and its encoding. Does not own: any trust: clients have to be told to take it.
 * Invariant: made anew in each process, so that no private key is kept anywhere. Mirrors RFC 5280, section 4.1.
 */
import { generateKeyPairSync, sign } from "node:crypto";

const oid = { commonName: [0x55, 4, 3], ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] };

/** A DER value: its tag, its length, its contents. */
function der(tag: number, ...contents: (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(contents.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

/** A key and a certificate for it, as PEM, good for two days around now, or for the days `from` to `to` from now. */
export function selfSigned({ from = -1, to = 1 } = {}): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = der(0x30, der(0x31, der(0x30, der(6, oid.commonName), der(0x0c, Buffer.from("localhost")))));
  const time = (day: number): Buffer => {
    const digits = new Date(Date.now() + day * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, "");
    return der(0x18, Buffer.from(digits));
  };
  const algorithm = der(0x30, der(6, oid.ecdsaWithSha256));
  const body = der(
    0x30,
    der(2, [1]),
    algorithm,
    name,
    der(0x30, time(from), time(to)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = der(3, [0], sign("sha256", body, privateKey));
  const base64 = der(0x30, body, algorithm, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join("\n")}\n-----END CERTIFICATE-----\n`,
  };
}
