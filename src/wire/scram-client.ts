/**
 * The client's side of one SCRAM-SHA-256 exchange, bound to a TLS connection where the caller says so.
 *
 * Owns: the client's two messages and the check that the server knows the password too. Does not own: the messages of
 * the protocol around them (`authentication.ts`).
 * Invariant: pure but for the nonce. Mirrors src/interfaces/libpq/fe-auth-scram.c.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { clientKeyOf, hash, hmac, saltPassword, serverKeyOf, xor } from "./scram.ts";

/** One exchange: `first`, then `final`, then `check`, each once. The last two throw for a server that breaks the rules. */
export class ScramClient {
  /** client-first-message. */
  readonly first: string;
  readonly #password: string;
  readonly #nonce = randomBytes(18).toString("base64");
  readonly #header: string;
  readonly #binding: Uint8Array;
  #serverSignature: Buffer = Buffer.alloc(0);

  /**
   * `password` is a prepared one (`preparePassword`). `header`: `n,,` for a client that has no channel binding, `y,,` for one that thinks the server
   * has none, `bindingHeader` with what the exchange is bound to.
   */
  constructor(password: string, header = "n,,", binding: Uint8Array = Buffer.alloc(0)) {
    this.#password = password;
    this.#header = header;
    this.#binding = binding;
    this.first = `${header}${this.#firstBare}`;
  }

  get #firstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** Takes server-first-message, returns client-final-message. */
  final(serverFirst: string): string {
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)(?:,|$)/.exec(serverFirst) ?? [];
    if (!nonce?.startsWith(this.#nonce) || salt === undefined) throw new Error("malformed SCRAM message of the server");
    const salted = saltPassword(this.#password, Buffer.from(salt, "base64"), Number(iterations));
    const channel = Buffer.concat([Buffer.from(this.#header), this.#binding]).toString("base64");
    const withoutProof = `c=${channel},r=${nonce}`;
    const authMessage = [this.#firstBare, serverFirst, withoutProof].join(",");
    const clientKey = clientKeyOf(salted);
    this.#serverSignature = hmac(serverKeyOf(salted), authMessage);
    return `${withoutProof},p=${xor(clientKey, hmac(hash(clientKey), authMessage)).toString("base64")}`;
  }

  /** Takes server-final-message. Throws if the server does not know the password. */
  check(serverFinal: string): void {
    const signature = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? "", "base64");
    if (signature.length !== this.#serverSignature.length || !timingSafeEqual(signature, this.#serverSignature)) {
      throw new Error("the server's SCRAM signature is wrong");
    }
  }
}
