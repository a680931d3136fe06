/** Certificates: from files, made on the fly, and their hash for channel binding. */
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { readCertificate } from "../../../src/transport/certificate.ts";
import { hashForBinding } from "../../../src/transport/certificate-hash.ts";
import { makeSelfSigned } from "../../../src/transport/self-signed.ts";
import { sha256WithRsa } from "../../../src/transport/x509.ts";
import { selfSigned, signedWith } from "../../support/self-signed.ts";

const directory = mkdtempSync(join(tmpdir(), "certificates-"));
const good = selfSigned();

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function read(cert: string, key: string) {
  return readCertificate({ option: "--tls-cert", path: cert }, { option: "DEV_DB_TLS_KEY", path: key });
}

describe("files", () => {
  const cert = file("good.crt", good.cert);
  const key = file("good.key", good.key);

  test("are taken, in the older forms of a key and with a chain as well", () => {
    expect(read(cert, key)).toEqual(good);
    const sec1 = createPrivateKey(good.key).export({ type: "sec1", format: "pem" }).toString();
    expect(read(cert, file("sec1.key", sec1)).key).toBe(sec1);
    const chain = file("chain.crt", good.cert + selfSigned().cert);
    expect(read(chain, key).cert).toContain(good.cert);
  });

  const encrypted = createPrivateKey(good.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
    .toString();
  const broken = (pem: string) => pem.replace(/\n..../, "\nAAAA");
  const weak = generateKeyPairSync("rsa", { modulusLength: 512 });
  test.each<[string, string, string, RegExp]>([
    ["a certificate that is not there", join(directory, "no.crt"), key, /^--tls-cert: .*no\.crt$/],
    ["a key that is not there", cert, join(directory, "no.key"), /^DEV_DB_TLS_KEY: .*no\.key$/],
    ["a directory", directory, key, /^--tls-cert: .*EISDIR/],
    ["a certificate that is no PEM", file("der.crt", "\0\x01"), key, /^--tls-cert: .*der\.crt .*PEM/],
    ["a key as certificate", key, key, /^--tls-cert: .*good\.key .*BEGIN CERTIFICATE/],
    ["a certificate as key", cert, cert, /^DEV_DB_TLS_KEY: .*good\.crt .*BEGIN PRIVATE KEY/],
    ["a broken certificate", file("b.crt", broken(good.cert)), key, /^--tls-cert: .*b\.crt .*valid/],
    ["a broken key", cert, file("b.key", broken(good.key)), /^DEV_DB_TLS_KEY: .*b\.key .*valid/],
    ["a key with a passphrase", cert, file("e.key", encrypted), /^DEV_DB_TLS_KEY: .*e\.key .*encrypted/],
    [
      "the key of another certificate",
      cert,
      file("other.key", selfSigned().key),
      /^DEV_DB_TLS_KEY: .*other\.key .*good\.crt$/,
    ],
    [
      "a key of another kind",
      cert,
      file("weak.key", weak.privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
      /^DEV_DB_TLS_KEY: .*weak\.key .*good\.crt$/,
    ],
  ])("%s is refused, naming its option", (_, certPath, keyPath, sentence) => {
    expect(() => read(certPath, keyPath)).toThrow(UsageError);
    expect(() => read(certPath, keyPath)).toThrow(sentence);
  });

  test("a certificate that expired or is not valid yet is refused", () => {
    for (const [days, sentence] of [
      [{ from: -3, to: -1 }, /^--tls-cert: .*dated\.crt expired on /],
      [{ from: 1, to: 3 }, /^--tls-cert: .*dated\.crt is not valid before /],
    ] as const) {
      const dated = selfSigned(days);
      const path = file("dated.crt", dated.cert);
      expect(() => read(path, file("dated.key", dated.key))).toThrow(sentence);
    }
  });

  test("a certificate that OpenSSL finds too weak is refused", () => {
    const { cert: weakCert, key: weakKey } = signedWith(weak.privateKey, sha256WithRsa);
    expect(() => read(file("weak.crt", weakCert), file("w.key", weakKey))).toThrow(
      /^--tls-cert: .*weak\.crt .*too small/,
    );
  });

  test("a file that may not be read is refused", (context) => {
    if (process.getuid?.() === 0) context.skip("root may read every file");
    const path = file("locked.key", good.key);
    chmodSync(path, 0);
    expect(() => read(cert, path)).toThrow(/^DEV_DB_TLS_KEY: .*locked\.key .*EACCES/);
  });
});

describe("a certificate made on the fly", () => {
  let made: { cert: string; key: string };
  let certificate: X509Certificate;
  beforeAll(async () => {
    made = await makeSelfSigned(["db.test", "192.0.2.7", "fe80::1%eth0", "::ffff:192.0.2.9", "localhost"]);
    certificate = new X509Certificate(made.cert);
  });

  test("is for this machine and for the given names, and for no others", () => {
    for (const name of ["localhost", "db.test"]) expect(certificate.checkHost(name)).toBe(name);
    for (const ip of ["127.0.0.1", "::1", "192.0.2.7", "fe80::1", "::ffff:192.0.2.9"])
      expect(certificate.checkIP(ip)).toBe(ip);
    expect(certificate.checkHost("example.org")).toBeUndefined();
    expect(certificate.checkIP("127.0.0.2")).toBeUndefined();
    expect(certificate.subjectAltName?.match(/localhost/g)).toHaveLength(1);
  });

  test("is signed with its own key, is no authority, and is good now and for less than 398 days", () => {
    expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    const serverAuth = "1.3.6.1.5.5.7.3.1";
    expect(certificate.keyUsage).toEqual([serverAuth]);
    expect(certificate.publicKey).toMatchObject({
      asymmetricKeyType: "rsa",
      asymmetricKeyDetails: { modulusLength: 2048 },
    });
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
    expect(days).toBeLessThan(398);
    expect(Date.parse(certificate.validFrom)).toBeLessThan(Date.now());
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(Date.now() + 300 * 86_400_000);
  });

  test("is another one every time, and can be read back from files", async () => {
    const other = await makeSelfSigned([]);
    expect(new X509Certificate(other.cert).serialNumber).not.toBe(certificate.serialNumber);
    expect(other.key).not.toBe(made.key);
    expect(read(file("made.crt", made.cert), file("made.key", made.key))).toEqual(made);
  });
});

describe("the hash for channel binding", () => {
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  /** Of signatures with RSA (RFC 8017, appendix C). */
  const oids = {
    md5: "1.2.840.113549.1.1.4",
    sha1: "1.2.840.113549.1.1.5",
    sha256: sha256WithRsa.oid,
    sha384: "1.2.840.113549.1.1.12",
    sha512: "1.2.840.113549.1.1.13",
  };
  const digest = (pem: string, name: string) => createHash(name).update(new X509Certificate(pem).raw).digest();

  test.each(["sha256", "sha384", "sha512"] as const)("is the function of the signature: %s", (name) => {
    const { cert } = signedWith(keys.privateKey, { hash: name, oid: oids[name] });
    expect(hashForBinding(cert)).toEqual(digest(cert, name));
  });

  test.each(["md5", "sha1"] as const)("is SHA-256 where that is %s", (name) => {
    const { cert } = signedWith(keys.privateKey, { hash: name, oid: oids[name] });
    expect(hashForBinding(cert)).toEqual(digest(cert, "sha256"));
  });

  test("is known for elliptic curves, and for the first certificate of a chain", () => {
    expect(hashForBinding(good.cert + selfSigned().cert)).toEqual(digest(good.cert, "sha256"));
  });
});
