/**
 * What a client answers to a server that asks for its password.
 *
 * Owns: that part of the login, SCRAM-SHA-256 without channel binding. Does not own: the rest of a conversation.
 */
import { encodeSaslInitialResponse, encodeSaslResponse, mechanism, request } from "./authentication.ts";
import { ScramClient } from "./scram-client.ts";

/** One login's. */
export class PasswordAnswers {
  readonly #scram: ScramClient;

  /** `password` is a prepared one, said only if the server asks. */
  constructor(password: string) {
    this.#scram = new ScramClient(password);
  }

  /** The answer to an Authentication message, if there is one. Throws if the server does not know the password. */
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
