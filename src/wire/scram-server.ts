/**
 * The server's side of one SCRAM-SHA-256 exchange.
 *
 * Owns: reading the client's two messages, their errors, and the server's two. Does not own: the messages of the protocol
 * around them (`authentication.ts`), or what a wrong password is answered with.
 * Invariant: pure but for the nonce; the proof is compared in constant time; nothing in an answer depends on whether a
 * user exists. Mirrors src/backend/libpq/auth-scram.c, its texts included.
 */
import { timingSafeEqual } from "node:crypto";
import { SqlStateError } from "../errors.ts";
import { bindingHeader, hash, hmac, keyLength, type ScramSecret, xor } from "./scram.ts";

/** What an exchange is about. */
export interface ScramTerms {
  readonly secret: ScramSecret;
  /** Printable, without a comma; from a source that nobody can foresee. */
  readonly serverNonce: string;
  /** With SCRAM-SHA-256-PLUS: the hash of the server's certificate. */
  readonly binding?: Buffer | undefined;
  /** Whether the connection could have been bound: then a client that says that it cannot has been lied to. */
  readonly bindable: boolean;
}

/** One exchange: `first`, then `final`, each once. Both throw a `SqlStateError` for a message that is malformed. */
export class ScramServer {
  readonly #terms: ScramTerms;
  #flag = "";
  #clientFirstBare = "";
  #serverFirst = "";
  #nonce = "";

  constructor(terms: ScramTerms) {
    this.#terms = terms;
  }

  /** Takes client-first-message, returns server-first-message. */
  first(data: Uint8Array): string {
    const message = new Attributes(textOf(data));
    this.#readBindingFlag(message);
    if (message.peek() === "a") {
      throw new SqlStateError("0A000", "client uses authorization identity, but it is not supported");
    }
    if (message.peek() !== ",") {
      throw malformed(`Unexpected attribute "${shown(message.peek())}" in client-first-message.`);
    }
    message.skip();
    this.#clientFirstBare = message.rest;
    if (message.peek() === "m") throw new SqlStateError("0A000", "client requires an unsupported SCRAM extension");
    // The name is that of the startup packet; this one is ignored, as in PostgreSQL.
    message.value("n");
    const clientNonce = message.value("r");
    if (!/^[!-+\--~]*$/.test(clientNonce)) {
      throw new SqlStateError("08P01", "non-printable characters in SCRAM nonce");
    }
    while (message.peek() !== "") message.any();
    const { secret, serverNonce } = this.#terms;
    this.#nonce = clientNonce + serverNonce;
    this.#serverFirst = `r=${this.#nonce},s=${secret.salt.toString("base64")},i=${secret.iterations}`;
    return this.#serverFirst;
  }

  /** Takes client-final-message; returns server-final-message, or undefined if the password was another one. */
  final(data: Uint8Array): string | undefined {
    const text = textOf(data);
    const message = new Attributes(text);
    this.#checkBinding(message.value("c"));
    const nonce = message.value("r");
    let proofAt: number;
    let attribute: { name: string; value: string };
    do {
      proofAt = text.length - message.rest.length - 1;
      attribute = message.any();
    } while (attribute.name !== "p");
    const proof = Buffer.from(attribute.value, "base64");
    if (proof.length !== keyLength || proof.toString("base64") !== attribute.value) {
      throw malformed("Malformed proof in client-final-message.");
    }
    if (message.peek() !== "") throw malformed("Garbage found at the end of client-final-message.");
    if (nonce !== this.#nonce) {
      throw new SqlStateError("08P01", "invalid SCRAM response", { detail: "Nonce does not match." });
    }
    const authMessage = [this.#clientFirstBare, this.#serverFirst, text.slice(0, proofAt)].join(",");
    const { storedKey, serverKey } = this.#terms.secret;
    const clientKey = xor(proof, hmac(storedKey, authMessage));
    if (!timingSafeEqual(hash(clientKey), storedKey)) return undefined;
    return `v=${hmac(serverKey, authMessage).toString("base64")}`;
  }

  /** Reads gs2-cbind-flag and the comma behind it, RFC 5802, section 6. */
  #readBindingFlag(message: Attributes): void {
    const { binding, bindable } = this.#terms;
    this.#flag = message.peek();
    if (this.#flag !== "n" && this.#flag !== "y" && this.#flag !== "p") {
      throw malformed(`Unexpected channel-binding flag "${shown(this.#flag)}".`);
    }
    if (this.#flag === "p") {
      if (!binding) {
        throw malformed(
          "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
        );
      }
      const type = message.value("p");
      if (type === "tls-server-end-point") return;
      const printable = type.slice(0, 30).replaceAll(/[^!-~]/g, "?");
      throw new SqlStateError("08P01", `unsupported SCRAM channel-binding type "${printable}"`);
    }
    if (binding) {
      throw malformed(
        "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
      );
    }
    if (this.#flag === "y" && bindable) {
      throw new SqlStateError("28000", "SCRAM channel binding negotiation error", {
        detail:
          "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.",
      });
    }
    message.skip();
    if (message.peek() !== ",") throw malformed(`Comma expected, but found character "${shown(message.peek())}".`);
    message.skip();
  }

  #checkBinding(given: string): void {
    const { binding } = this.#terms;
    const expected = binding ? Buffer.concat([Buffer.from(bindingHeader), binding]) : Buffer.from(`${this.#flag},,`);
    if (given === expected.toString("base64")) return;
    throw binding
      ? new SqlStateError("28000", "SCRAM channel binding check failed")
      : new SqlStateError("08P01", "unexpected SCRAM channel-binding attribute in client-final-message");
  }
}

/** A message that is read attribute by attribute. */
class Attributes {
  #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** What has not been read. */
  get rest(): string {
    return this.#text;
  }

  /** The next character; empty at the end. */
  peek(): string {
    return this.#text.charAt(0);
  }

  skip(): void {
    this.#text = this.#text.slice(1);
  }

  /** The value of the next attribute, which must be `name`. */
  value(name: string): string {
    if (this.peek() !== name) {
      throw malformed(`Expected attribute "${name}" but found "${shown(this.peek())}".`);
    }
    return this.any().value;
  }

  any(): { name: string; value: string } {
    const name = this.peek();
    if (name === "") throw malformed("Attribute expected, but found end of string.");
    if (!/[A-Za-z]/.test(name)) throw malformed(`Attribute expected, but found invalid character "${shown(name)}".`);
    if (this.#text[1] !== "=") throw malformed(`Expected character "=" for attribute "${name}".`);
    const comma = this.#text.indexOf(",");
    const end = comma < 0 ? this.#text.length : comma;
    const value = this.#text.slice(2, end);
    this.#text = this.#text.slice(end + 1);
    return { name, value };
  }
}

function textOf(data: Uint8Array): string {
  if (data.length === 0) throw malformed("The message is empty.");
  if (data.includes(0)) throw malformed("Message length does not match input length.");
  // One character for each byte, so that what is signed is exactly what was sent.
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1");
}

function malformed(detail: string): SqlStateError {
  return new SqlStateError("08P01", "malformed SCRAM message", { detail });
}

/** A character for an error message. */
function shown(character: string): string {
  if (/[!-~]/.test(character)) return `'${character}'`;
  return `0x${(character === "" ? 0 : character.charCodeAt(0)).toString(16).padStart(2, "0")}`;
}
