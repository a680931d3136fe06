/**
 * The client's side of a login: what it answers when it is asked who it is.
 *
 * Owns: the answers to the messages of type `R`. Does not own: the startup packet, the socket, what follows the login.
 * Invariant: pure; a password is only said to a server that asks for it.
 */
import { createHash } from "node:crypto";
import { encodePassword, encodeSaslInitialResponse, encodeSaslResponse, mechanism, request } from "./authentication.ts";
import { ScramClient } from "./scram-client.ts";

/** One login. */
export class LoginClient {
  readonly #scram: ScramClient;

  readonly #user: string;
  readonly #password: string;

  /** `password` is a prepared one (`preparePassword`); `user` matters to servers that ask for MD5. */
  constructor(password: string, user = "") {
    this.#user = user;
    this.#password = password;
    this.#scram = new ScramClient(password);
  }

  /** The answer to an authentication message, if it wants one. Throws for a kind that is not known. */
  answer(body: Buffer): Buffer | undefined {
    const data = body.toString("utf8", 4);
    switch (body.readInt32BE()) {
      case request.ok:
        return undefined;
      case request.cleartext:
        return encodePassword(this.#password);
      case request.md5:
        return encodePassword(`md5${md5(md5(this.#password + this.#user), body.subarray(8))}`);
      case request.sasl:
        return encodeSaslInitialResponse(mechanism.plain, this.#scram.first);
      case request.saslContinue:
        return encodeSaslResponse(this.#scram.final(data));
      case request.saslFinal:
        this.#scram.check(data);
        return undefined;
      default:
        throw new Error("the server asked for an unknown kind of authentication");
    }
  }
}

function md5(text: string, salt: Uint8Array = Buffer.alloc(0)): string {
  return createHash("md5").update(text).update(salt).digest("hex");
}
