/**
 * The client's side of a login: what it answers when it is asked who it is.
 *
 * Owns: the answers to the messages of type `R`. Does not own: the startup packet, the socket, what follows the login.
 * Invariant: pure; a password is only said to a server that asks for it, and only where the caller says that it may be.
 */
import { createHash } from "node:crypto";
import { ServerConnectionError } from "../errors.ts";
import { encodePassword, encodeSaslInitialResponse, encodeSaslResponse, mechanism, request } from "./authentication.ts";
import { bindingHeader } from "./scram.ts";
import { ScramClient } from "./scram-client.ts";

/** The terms of a login, besides the password. */
interface LoginTerms {
  /** Whether the server may get the password itself, or its MD5 hash, which is as good; true by default. */
  readonly mayReveal?: boolean;
  /** The data of SCRAM's channel binding: the hash of the server's certificate, for `tls-server-end-point`. */
  readonly binding?: Buffer | undefined;
  /** Whether any other login is an error. */
  readonly requiresBinding?: boolean;
}

/** One login. */
export class LoginClient {
  readonly #user: string;
  readonly #password: string;
  readonly #terms: LoginTerms;
  #scram: ScramClient | undefined;
  /** Whether the server has proved that it knows the password, and has this certificate. */
  #isBound = false;
  #binds = false;

  /** `password` is a prepared one (`preparePassword`); `user` matters to servers that ask for MD5. */
  constructor(password: string, user = "", terms: LoginTerms = {}) {
    this.#user = user;
    this.#terms = terms;
    this.#password = password;
  }

  /** The answer to an authentication message, if it wants one. Throws for a kind that is not known. */
  answer(body: Buffer): Buffer | undefined {
    const isAsked = body.readInt32BE() !== request.ok;
    if (isAsked && this.#password === "")
      throw new ServerConnectionError(
        "the server asks for a password, but none was given; put it into the URL, PGPASSWORD or the password file",
      );
    const data = body.toString("utf8", 4);
    switch (body.readInt32BE()) {
      case request.ok:
        if (this.#terms.requiresBinding && !this.#isBound) throw new ServerConnectionError(notBound);
        return undefined;
      case request.cleartext:
        this.#reveal("in cleartext");
        return encodePassword(this.#password);
      case request.md5:
        this.#reveal("as an MD5 hash");
        return encodePassword(`md5${md5(md5(this.#password + this.#user), body.subarray(8))}`);
      case request.sasl:
        return this.#begin(data.split("\0"));
      case request.saslContinue:
        return encodeSaslResponse(this.#exchange.final(data));
      case request.saslFinal:
        this.#exchange.check(data);
        this.#isBound = this.#binds;
        return undefined;
      default:
        throw new ServerConnectionError("the server asked for an unknown kind of authentication");
    }
  }

  /** Chooses one of the server's mechanisms, as libpq does. */
  #begin(offered: readonly string[]): Buffer {
    const { binding, requiresBinding = false } = this.#terms;
    const isOffered = offered.includes(mechanism.plus);
    this.#binds = binding !== undefined && isOffered;
    if (requiresBinding && !this.#binds) throw new ServerConnectionError(notBound);
    if (this.#binds) this.#scram = new ScramClient(this.#password, bindingHeader, binding);
    else this.#scram = new ScramClient(this.#password, binding === undefined ? "n,," : "y,,");
    return encodeSaslInitialResponse(this.#binds ? mechanism.plus : mechanism.plain, this.#scram.first);
  }

  get #exchange(): ScramClient {
    if (!this.#scram) throw new ServerConnectionError("the server continued a SCRAM exchange that it had not begun");
    return this.#scram;
  }

  #reveal(how: string): void {
    if (this.#terms.requiresBinding) throw new ServerConnectionError(notBound);
    if (this.#terms.mayReveal ?? true) return;
    throw new ServerConnectionError(
      `the server asked for the password ${how}, but its certificate was not verified; use sslmode=verify-full with sslrootcert, or scram-sha-256 on the server`,
    );
  }
}

const notBound =
  "channel_binding=require needs TLS and SCRAM-SHA-256-PLUS, but the login to this server would have no channel binding";

function md5(text: string, salt: Uint8Array = Buffer.alloc(0)): string {
  return createHash("md5").update(text).update(salt).digest("hex");
}
