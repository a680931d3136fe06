/**
 * Certificates that are signed with their own key, as PEM.
 *
 * Owns: which fields there are and in which order. Does not own: DER (asn1js), the key, what is in a certificate and for whom
 * (`self-signed.ts`). Mirrors RFC 5280, section 4.
 */
import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { isIP } from "node:net";
import {
  Boolean as Asn1Boolean,
  Set as Asn1Set,
  type AsnType,
  BitString,
  Constructed,
  fromBER,
  GeneralizedTime,
  Integer,
  Null,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  UTCTime,
  Utf8String,
} from "asn1js";

/** A hash function of Node's, and the object identifier of a signature with it and with keys of one kind. */
export interface SignatureKind {
  readonly hash: string;
  readonly oid: string;
}

/** RSASSA-PKCS1-v1_5 with SHA-256. */
export const sha256WithRsa: SignatureKind = { hash: "sha256", oid: "1.2.840.113549.1.1.11" };

/** What is in a certificate besides the key. */
export interface CertificateContents {
  /** At most 20 bytes. The first bit of the first one is zero, and not all of its others are. */
  readonly serialNumber: Uint8Array;
  readonly from: Date;
  readonly to: Date;
  /** Of the subject and of the issuer, which is the same. */
  readonly commonName: string;
  readonly organization?: string;
  readonly extensions?: readonly Extension[];
}

/** One of section 4.2. */
export interface Extension {
  readonly oid: string;
  readonly isCritical?: boolean;
  readonly value: AsnType;
}

/** The certificate of the key, signed with it. */
export function certify(contents: CertificateContents, privateKey: KeyObject, kind: SignatureKind): string {
  const { serialNumber, from, to, extensions = [] } = contents;
  const name = nameOf(contents);
  const algorithm = new Sequence({ value: [identifier(kind.oid), ...(isRsa(privateKey) ? [new Null()] : [])] });
  const body = new Sequence({
    value: [
      tagged(0, new Integer({ value: 2 })),
      new Integer({ valueHex: serialNumber }),
      algorithm,
      name,
      new Sequence({ value: [time(from), time(to)] }),
      name,
      fromBER(publicKeyOf(privateKey)).result,
      ...(extensions.length > 0 ? [tagged(3, new Sequence({ value: extensions.map(extension) }))] : []),
    ],
  });
  const signature = sign(kind.hash, new Uint8Array(body.toBER()), privateKey);
  const der = new Sequence({ value: [body, algorithm, new BitString({ valueHex: signature })] }).toBER();
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Section 4.2.1.9: of a certificate that signs no other one. */
export function basicConstraints(): Extension {
  return { oid: "2.5.29.19", isCritical: true, value: new Sequence() };
}

/** Section 4.2.1.3: for a handshake that is signed with the key, and for one whose secret is encrypted for it. */
export function keyUsage(): Extension {
  const [digitalSignature, keyEncipherment] = [0x80, 0x20];
  const valueHex = Uint8Array.of(digitalSignature | keyEncipherment);
  return { oid: "2.5.29.15", isCritical: true, value: new BitString({ valueHex, unusedBits: 5 }) };
}

/** Section 4.2.1.12: for servers. */
export function extendedKeyUsage(): Extension {
  return { oid: "2.5.29.37", value: new Sequence({ value: [identifier("1.3.6.1.5.5.7.3.1")] }) };
}

/** Section 4.2.1.2, by its first method. */
export function subjectKeyIdentifier(privateKey: KeyObject): Extension {
  const [, key] = (fromBER(publicKeyOf(privateKey)).result as Sequence).valueBlock.value;
  const bits = (key as BitString).valueBlock.valueHexView;
  return { oid: "2.5.29.14", value: new OctetString({ valueHex: Buffer.from(hash("sha1", bits), "hex") }) };
}

/** Section 4.2.1.6: host names, and addresses, which have no zone there. */
export function subjectAltName(names: readonly string[]): Extension {
  const [dnsName, ipAddress] = [2, 7];
  const value = names.map((name) => {
    const address = addressBytes(name.replace(/%.*$/, ""));
    const [tagNumber, valueHex] = address ? [ipAddress, address] : [dnsName, Buffer.from(name)];
    return new Primitive({ idBlock: { tagClass: contextSpecific, tagNumber }, valueHex });
  });
  return { oid: "2.5.29.17", value: new Sequence({ value }) };
}

/** asn1js's number for it. */
const contextSpecific = 3;

function tagged(tagNumber: number, value: AsnType): AsnType {
  return new Constructed({ idBlock: { tagClass: contextSpecific, tagNumber }, value: [value] });
}

function identifier(value: string): ObjectIdentifier {
  return new ObjectIdentifier({ value });
}

function nameOf({ commonName, organization }: CertificateContents): Sequence {
  const parts = [["2.5.4.3", commonName], ...(organization === undefined ? [] : [["2.5.4.10", organization]])];
  const value = parts.map(([oid, text]) => {
    const attribute = new Sequence({ value: [identifier(oid!), new Utf8String({ value: text! })] });
    return new Asn1Set({ value: [attribute] });
  });
  return new Sequence({ value });
}

/** Section 4.1.2.5: the shorter form until 2049. */
function time(valueDate: Date): AsnType {
  return valueDate.getUTCFullYear() < 2050 ? new UTCTime({ valueDate }) : new GeneralizedTime({ valueDate });
}

function extension({ oid, isCritical, value }: Extension): AsnType {
  const critical = isCritical ? [new Asn1Boolean({ value: true })] : [];
  return new Sequence({ value: [identifier(oid), ...critical, new OctetString({ valueHex: value.toBER() })] });
}

function isRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === "rsa";
}

function publicKeyOf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ type: "spki", format: "der" });
}

function addressBytes(name: string): Uint8Array | undefined {
  if (isIP(name) === 0) return undefined;
  if (isIP(name) === 4) return Uint8Array.from(name.split("."), Number);
  // A URL has it in one form: hexadecimal groups, of which one run of zeros may be left out.
  const [head = "", tail] = new URL(`http://[${name}]`).hostname.slice(1, -1).split("::");
  const groups = (part = "") => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail)];
  const left = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return Uint8Array.from(
    [...before, ...left, ...after].flatMap((group) => [
      Number.parseInt(group, 16) >> 8,
      Number.parseInt(group, 16) & 255,
    ]),
  );
}
