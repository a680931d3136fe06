/**
 * SCRAM-SHA-256: the example of RFC 7677, both sides against each other, and every message that is refused.
 */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { SqlStateError } from "../../../src/errors.ts";
import { bindingHeader, preparePassword, scramSecret } from "../../../src/wire/scram.ts";
import { ScramClient } from "../../../src/wire/scram-client.ts";
import { ScramServer, type ScramTerms } from "../../../src/wire/scram-server.ts";

const example = {
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  withoutProof: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};
const secret = scramSecret("pencil", Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"), 4096);

function server(terms: Partial<ScramTerms> = {}): ScramServer {
  return new ScramServer({ secret, serverNonce: example.serverNonce, bindable: false, ...terms });
}

/** What is thrown: SQLSTATE, message, detail. */
function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(SqlStateError);
    const { code, message, detail } = error as SqlStateError;
    return [code, message, ...(detail === undefined ? [] : [detail])].join(" | ");
  }
  throw new Error("nothing was thrown");
}

describe("the example of RFC 7677", () => {
  test("every message of the server", () => {
    const exchange = server();
    expect(exchange.first(Buffer.from(example.clientFirst))).toBe(example.serverFirst);
    expect(exchange.final(Buffer.from(`${example.withoutProof},p=${example.proof}`))).toBe(example.serverFinal);
  });

  test("every single bit of the proof counts", () => {
    const proof = Buffer.from(example.proof, "base64");
    for (let bit = 0; bit < proof.length * 8; bit++) {
      const wrong = Buffer.from(proof);
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      const exchange = server();
      exchange.first(Buffer.from(example.clientFirst));
      expect(exchange.final(Buffer.from(`${example.withoutProof},p=${wrong.toString("base64")}`))).toBeUndefined();
    }
  });

  test("extensions that are optional are signed and otherwise ignored", () => {
    const exchange = server();
    expect(exchange.first(Buffer.from(`${example.clientFirst},x=1`))).toBe(example.serverFirst);
    expect(exchange.final(Buffer.from(`${example.withoutProof},y=2,p=${example.proof}`))).toBeUndefined();
  });
});

describe("client and server", () => {
  test.each(["pencil", " ", "a,b=c", "pässwörd", "密码", "\u00aa\u00adﬁ"])("agree about %j", async (password) => {
    const prepared = await preparePassword(password);
    const exchange = server({ secret: scramSecret(prepared, randomBytes(16), 4096) });
    const client = new ScramClient(prepared);
    const serverFinal = exchange.final(Buffer.from(client.final(exchange.first(Buffer.from(client.first)))));
    client.check(serverFinal!);
    expect(() => client.check(`v=${randomBytes(32).toString("base64")}`)).toThrow("signature is wrong");
    expect(() => client.check("e=other-error")).toThrow("signature is wrong");
  });

  test("the client takes no other server's nonce", () => {
    const client = new ScramClient("pencil");
    expect(() => client.final(example.serverFirst)).toThrow("malformed");
    expect(() => client.final("")).toThrow("malformed");
  });
});

describe("a password is prepared as PostgreSQL does it", () => {
  test.each([
    ["ASCII, control characters included, stays", "a\u0001 ~", "a\u0001 ~"],
    ["other spaces are spaces, soft hyphens go, ligatures are taken apart", "a\u00a0b\u00adcﬁ\u2168", "a bcfiIX"],
    ["what SASLprep prohibits is used as it is", "ä\u0007", "ä\u0007"],
    ["what was not assigned in Unicode 3.2 is used as it is", "ﬁ😀\u{1fae0}", "ﬁ😀\u{1fae0}"],
    ["mixed directions are used as they are", "\u0627\u0031a", "\u0627\u0031a"],
  ])("%s", async (_, password, expected) => {
    expect(await preparePassword(password)).toBe(expected);
  });
});

const certificateHash = Buffer.alloc(32, 7);
const plus = { binding: certificateHash, bindable: true };
const noBinding =
  "08P01 | malformed SCRAM message | The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.";

describe("client-first-message", () => {
  const malformed = (detail: string) => `08P01 | malformed SCRAM message | ${detail}`;
  test.each<[string | Buffer, string, Partial<ScramTerms>?]>([
    ["", malformed("The message is empty.")],
    ["n,,n=,r=a\0b", malformed("Message length does not match input length.")],
    ["x,,n=,r=a", malformed("Unexpected channel-binding flag \"'x'\".")],
    [Buffer.from([0xff]), malformed('Unexpected channel-binding flag "0xff".')],
    ["n", malformed('Comma expected, but found character "0x00".')],
    ["nn,n=,r=a", malformed("Comma expected, but found character \"'n'\".")],
    ["n,a=somebody,n=,r=a", "0A000 | client uses authorization identity, but it is not supported"],
    ["n,b,n=,r=a", malformed("Unexpected attribute \"'b'\" in client-first-message.")],
    ["n,,m=x,n=,r=a", "0A000 | client requires an unsupported SCRAM extension"],
    ["n,,r=a", malformed('Expected attribute "n" but found "\'r\'".')],
    ["n,,n,r=a", malformed('Expected character "=" for attribute "n".')],
    ["n,,n=", malformed('Expected attribute "r" but found "0x00".')],
    ["n,,n=,r=a b", "08P01 | non-printable characters in SCRAM nonce"],
    [Buffer.from("n,,n=,r=\x80", "latin1"), "08P01 | non-printable characters in SCRAM nonce"],
    ["n,,n=,r=a,1=x", malformed("Attribute expected, but found invalid character \"'1'\".")],
    ["n,,n=,r=a,,", malformed("Attribute expected, but found invalid character \"','\".")],
    [
      "p=tls-server-end-point,,n=,r=a",
      malformed(
        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
      ),
      { bindable: true },
    ],
    ["n,,n=,r=a", noBinding, plus],
    ["y,,n=,r=a", noBinding, plus],
    ["p=tls-unique,,n=,r=a", '08P01 | unsupported SCRAM channel-binding type "tls-unique"', plus],
    [
      "y,,n=,r=a",
      "28000 | SCRAM channel binding negotiation error | The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.",
      { bindable: true },
    ],
  ])("%j is refused: %s", (message, refusal, terms) => {
    expect(refusalOf(() => server(terms).first(Buffer.from(message as string)))).toBe(refusal);
  });

  test("y is accepted where there is nothing to bind to", () => {
    const exchange = server();
    expect(exchange.first(Buffer.from(example.clientFirst.replace(/^n/, "y")))).toBe(example.serverFirst);
  });
});

describe("client-final-message", () => {
  const { withoutProof, proof } = example;
  const nonce = withoutProof.slice("c=biws,".length);
  test.each<[string, string]>([
    ["", "08P01 | malformed SCRAM message | The message is empty."],
    [`${nonce},p=${proof}`, '08P01 | malformed SCRAM message | Expected attribute "c" but found "\'r\'".'],
    [`c=eSws,${nonce},p=${proof}`, "08P01 | unexpected SCRAM channel-binding attribute in client-final-message"],
    [`c=biws,${nonce}x,p=${proof}`, "08P01 | invalid SCRAM response | Nonce does not match."],
    [`c=biws,r=,p=${proof}`, "08P01 | invalid SCRAM response | Nonce does not match."],
    [withoutProof, "08P01 | malformed SCRAM message | Attribute expected, but found end of string."],
    [`${withoutProof},p=`, "08P01 | malformed SCRAM message | Malformed proof in client-final-message."],
    [`${withoutProof},p=AAAA`, "08P01 | malformed SCRAM message | Malformed proof in client-final-message."],
    [`${withoutProof},p=${proof}=`, "08P01 | malformed SCRAM message | Malformed proof in client-final-message."],
    [`${withoutProof},p=!${proof}`, "08P01 | malformed SCRAM message | Malformed proof in client-final-message."],
    [
      `${withoutProof},p=${proof},x=1`,
      "08P01 | malformed SCRAM message | Garbage found at the end of client-final-message.",
    ],
  ])("%j is refused: %s", (message, refusal) => {
    const exchange = server();
    exchange.first(Buffer.from(example.clientFirst));
    expect(refusalOf(() => exchange.final(Buffer.from(message)))).toBe(refusal);
  });

  test("bound to another certificate is refused, to this one it is not", () => {
    const final = (hash: Buffer) => {
      const exchange = server(plus);
      exchange.first(Buffer.from("p=tls-server-end-point,,n=,r=a"));
      const bound = Buffer.concat([Buffer.from(bindingHeader), hash]).toString("base64");
      return () => exchange.final(Buffer.from(`c=${bound},r=a${example.serverNonce},p=${proof}`));
    };
    expect(refusalOf(final(Buffer.alloc(32, 8)))).toBe("28000 | SCRAM channel binding check failed");
    expect(refusalOf(final(Buffer.alloc(0)))).toBe("28000 | SCRAM channel binding check failed");
    expect(final(certificateHash)()).toBeUndefined();
  });
});
