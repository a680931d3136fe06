/**
 * A client of a replay.
 *
 * Owns: its socket, its login, what it has got. Does not own: what it sends and when (`player.ts`).
 * Invariant: what passes is shown to the tap as a recorder would see it; nobody waits on a connection that has ended.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { staysHere } from "../../system/loopback.ts";
import { request } from "../../wire/authentication.ts";
import { ConnectionReader, type WireMessage } from "../../wire/connection-reader.ts";
import { encodeMessage, encodeStartup, encodeSync } from "../../wire/frontend.ts";
import { LoginClient } from "../../wire/login-client.ts";
import type { Upstream } from "../record/proxy.ts";
import { isReply } from "./script.ts";

/** A server that a trace is played to. */
export interface PlayTarget {
  readonly address: Upstream;
  /** What stands in every startup packet, instead of what was recorded. */
  readonly parameters: Readonly<Record<string, string>>;
  /** A prepared one (`preparePassword`). */
  readonly password?: string | undefined;
  /** Brings the server back to its beginning, where that can be. */
  reset?(): Promise<void>;
}

/** Gets what passes, like that of `Recorder`. */
export type PlayTap = (connection: number, source: "frontend" | "backend" | "closed", bytes?: Uint8Array) => void;

const gssRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);
const no = 0x4e;

/** One of them. */
export class ReplayConnection {
  readonly #number: number;
  readonly #target: PlayTarget;
  #tap: PlayTap;
  #socket: Socket;
  /** What follows the answer to a GSSENCRequest that was sent. */
  #whenRefused: (() => void) | undefined;
  readonly #reader = new ConnectionReader();
  #client: LoginClient | undefined;
  #isLoggedIn = false;
  /** How many replies have come since the login. */
  replies = 0;
  hasEnded = false;
  /** When something last happened, on the clock of `performance.now()`. */
  lastAt = performance.now();
  /** What a CancelRequest needs. */
  key: Buffer | undefined;
  /** What it has logged in with. */
  parameters: Readonly<Record<string, string>> = {};

  constructor(number: number, target: PlayTarget, tap: PlayTap) {
    this.#number = number;
    this.#target = target;
    this.#tap = tap;
    this.#socket = this.#connect();
  }

  #connect(): Socket {
    const socket = connect({ ...this.#target.address, noDelay: true });
    socket.on("error", () => {});
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      this.hasEnded = true;
      this.lastAt = performance.now();
    });
    socket.on("data", (bytes: Buffer) => this.#gets(bytes));
    return socket;
  }

  get isSettled(): boolean {
    return this.#isLoggedIn || this.hasEnded;
  }

  /** Logs in with what was recorded; `isSettled` says when that is over. */
  begin(parameters: Readonly<Record<string, string>>, asksForGss = false): void {
    this.parameters = parameters;
    const logIn = (): void => this.send(encodeStartup({ ...parameters, ...this.#target.parameters }));
    if (!asksForGss) {
      logIn();
      return;
    }
    this.#whenRefused = logIn;
    this.lastAt = performance.now();
    this.#socket.write(gssRequest);
  }

  send(bytes: Buffer): void {
    if (this.hasEnded) return;
    this.lastAt = performance.now();
    this.#tap(this.#number, "frontend", bytes);
    this.#socket.write(bytes);
  }

  /** Hangs up when what was sent is on its way. */
  async close(): Promise<void> {
    if (this.hasEnded) return;
    const closed = once(this.#socket, "close");
    this.#socket.end(() => this.#socket.destroy());
    await closed;
    this.#tap(this.#number, "closed");
  }

  /** Ends what it has begun, so that nobody else waits for it; what comes of that is not shown. */
  finish(): void {
    this.#tap = () => {};
    if (this.#isLoggedIn) this.send(encodeSync());
  }

  /** Hangs up at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #gets(bytes: Buffer): void {
    this.lastAt = performance.now();
    if (this.#whenRefused) {
      this.#isRefused(bytes);
      return;
    }
    this.#tap(this.#number, "backend", bytes);
    for (const message of this.#reader.push("backend", bytes)) {
      if (this.#isLoggedIn && isReply(message)) this.replies++;
      else if (!this.#isLoggedIn) this.#login(message);
    }
  }

  /** The answer to a GSSENCRequest: N for no, G for yes, an error of a server that does not know it. */
  #isRefused(answer: Buffer): void {
    const logIn = this.#whenRefused!;
    this.#whenRefused = undefined;
    if (answer[0] !== no) {
      // As libpq: it is not asked for again.
      const before = this.#socket;
      this.#socket = this.#connect();
      before.destroy();
    }
    logIn();
  }

  #login({ name, body }: WireMessage): void {
    if (name === "BackendKeyData") this.key = Buffer.from(body);
    if (name === "ReadyForQuery") this.#isLoggedIn = true;
    if (name !== "Authentication") return;
    const kind = body.readInt32BE(0);
    if (kind === request.ok) return;
    const { password } = this.#target;
    // A replay has no TLS: send another machine's server only a proof of the password.
    const reveals = kind === request.cleartext || kind === request.md5;
    if (password === undefined || (reveals && !staysHere(this.#socket))) this.destroy();
    else if (kind === request.cleartext) this.send(encodeMessage("p", password));
    else this.#prove(password, body);
  }

  #prove(password: string, body: Buffer): void {
    try {
      this.#client ??= new LoginClient(password);
      const answer = this.#client.answer(body);
      if (answer) this.send(answer);
    } catch {
      // Neither of the two knows the password, or how the other one asks for it.
      this.destroy();
    }
  }
}
