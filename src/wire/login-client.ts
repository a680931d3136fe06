/**
 * The client's side of a login: what it answers when it is asked who it is.
 *
 * Owns: the answers to the messages of type `R`. Does not own: the startup packet, the socket, what follows the login.
 * Invariant: pure; a password is only said to a server that asks for it, and only where the caller says that it may be.
 */
import { createHash } from "node:crypto";
import { ServerConnectionError } from "../errors.ts";
import { encodePassword, encodeSaslInitialResponse, encodeSaslResponse, mechanism, request } from "./authentication.ts";
import { ScramClient } from "./scram-client.ts";

/** One login. */
export class LoginClient {
  readonly #scram: ScramClient;

  readonly #user: string;
  readonly #password: string;
  readonly #mayReveal: boolean;

  /**
   * `password` is a prepared one (`preparePassword`); `user` matters to servers that ask for MD5. `mayReveal`: whether the server may get the
   * password itself, or its MD5 hash, which is as good.
   */
  constructor(password: string, user = "", mayReveal = true) {
    this.#user = user;
    this.#mayReveal = mayReveal;
    this.#password = password;
    this.#scram = new ScramClient(password);
  }

  /** The answer to an authentication message, if it wants one. Throws for a kind that is not known. */
  answer(body: Buffer): Buffer | undefined {
    const isAsked = body.readInt32BE() !== request.ok;
    if (isAsked && this.#password === "")
      throw new ServerConnectionError(
        "the server asks for a password, and none was given; put it into the URL, PGPASSWORD or the password file",
      );
    const data = body.toString("utf8", 4);
    switch (body.readInt32BE()) {
      case request.ok:
        return undefined;
      case request.cleartext:
        this.#reveal("in cleartext");
        return encodePassword(this.#password);
      case request.md5:
        this.#reveal("as an MD5 hash");
        return encodePassword(`md5${md5(md5(this.#password + this.#user), body.subarray(8))}`);
      case request.sasl:
        return encodeSaslInitialResponse(mechanism.plain, this.#scram.first);
      case request.saslContinue:
        return encodeSaslResponse(this.#scram.final(data));
      case request.saslFinal:
        this.#scram.check(data);
        return undefined;
      default:
        throw new ServerConnectionError("the server asked for an unknown kind of authentication");
    }
  }

  #reveal(how: string): void {
    if (this.#mayReveal) return;
    throw new ServerConnectionError(
      `the server asked for the password ${how}, and its certificate was not verified; use sslmode=verify-full with sslrootcert, or scram-sha-256 on the server`,
    );
  }
}

function md5(text: string, salt: Uint8Array = Buffer.alloc(0)): string {
  return createHash("md5").update(text).update(salt).digest("hex");
}
