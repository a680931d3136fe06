/**
 * The client's side of a login: what it answers when it is asked who it is.
 *
 * Owns: the answers to the messages of type `R`. Does not own: the startup packet, the socket, what follows the login.
 * Invariant: pure; a password is only said to a server that asks for it.
 */
import { encodeSaslInitialResponse, encodeSaslResponse, mechanism, request } from "./authentication.ts";
import { ScramClient } from "./scram-client.ts";

/** One login. */
export class LoginClient {
  readonly #scram: ScramClient;

  /** `password` is a prepared one (`preparePassword`). */
  constructor(password: string) {
    this.#scram = new ScramClient(password);
  }

  /** The answer to an authentication message, if it wants one. Throws for a kind that is not known. */
  answer(body: Buffer): Buffer | undefined {
    const data = body.toString("utf8", 4);
    switch (body.readInt32BE()) {
      case request.ok:
        return undefined;
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
