/**
 * One connection of the plays: it sends, reads as slowly as a part says, and checks what comes.
 *
 * Owns: the socket, its cancels. Does not own: the order of a part (`performance.ts`), when it has waited too long (`watch.ts`).
 * Invariant: whatever happens on the socket counts as progress; a wait ends when the socket does.
 */
import { connect, type Socket } from "node:net";
import { encodeStartup } from "../../src/wire/frontend.ts";
import { message } from "../../test/support/wire-client.ts";
import { AnswerChecker } from "./answer-checker.ts";
import type { Part } from "./play.ts";
import type { Expected } from "./requests.ts";

/** Where to connect: every second connection takes the Unix socket, whose buffers are small. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

const loginTypes = "RSKZ";
const stuck = "stuck: nothing happens, and the server is idle";
const lookMs = 100;
const startup = encodeStartup({ user: "postgres", database: "postgres", application_name: "flow" });

/** A connection. */
export class Talker {
  readonly #endpoint: Endpoint;
  readonly #isUnix: boolean;
  readonly #socket: Socket;
  checker = new AnswerChecker();
  #login: Buffer | undefined = Buffer.alloc(0);
  #key: Buffer | undefined;
  #wake: (() => void) | undefined;
  #reading: Part["reading"] = { every: 0, pauseMs: 0, times: 0 };
  #sinceStop = 0;
  #stops = 0;
  sent = 0;
  received = 0;
  /** Counts everything that happens to it. */
  progress = 0;
  isClosed = false;
  /** Set when nothing has happened for too long. */
  isStuck = false;

  constructor(endpoint: Endpoint, isUnix: boolean) {
    this.#endpoint = endpoint;
    this.#isUnix = isUnix;
    this.#socket = this.#connect();
    this.#socket.on("error", () => {});
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("close", () => {
      this.isClosed = true;
      this.#notify();
    });
    this.#socket.write(startup);
  }

  #connect(): Socket {
    const { host, port, path } = this.#endpoint;
    return this.#isUnix ? connect({ path }) : connect({ host, port, noDelay: true });
  }

  /** What it waits for, and what the socket says. */
  describe(): string {
    const paused = this.#socket.isPaused() ? ", not reading" : "";
    const unsent = this.#socket.writableLength > 0 ? `, ${this.#socket.writableLength} bytes not taken` : "";
    const closed = this.isClosed ? ", closed" : "";
    const where = this.#isUnix ? "Unix socket" : "TCP";
    return `${where}, ${this.sent} bytes sent, ${this.received} received${paused}${unsent}${closed}; ${this.#login ? "not logged in" : this.checker.describe()}`;
  }

  /** Resolves when it is logged in. */
  async loggedIn(): Promise<void> {
    await this.#until(() => this.#login === undefined);
  }

  /** From now on it reads like that. */
  read(reading: Part["reading"]): void {
    this.#reading = reading;
    this.#sinceStop = 0;
    this.#stops = 0;
  }

  owe(expected: readonly Expected[]): void {
    this.checker.owe(expected);
  }

  write(bytes: Buffer): void {
    if (this.isClosed || bytes.length === 0) return;
    this.sent += bytes.length;
    this.#socket.write(bytes, () => {
      this.progress++;
    });
  }

  /** Resolves when all that is owed has come. Rejects with what is wrong, also when the connection ends before. */
  async answered(): Promise<void> {
    await this.#until(() => this.checker.isDone);
  }

  /** Resolves when it is closed; what comes until then must be right. */
  async closed(): Promise<void> {
    while (!this.isClosed) await this.#change();
    if (this.checker.problem !== undefined) throw new Error(this.checker.problem);
  }

  /** A CancelRequest. Resolves when the server has closed its connection, which says that it has had it. */
  async cancel(): Promise<void> {
    this.checker.cancels++;
    const socket = this.#connect();
    socket.on("error", () => {});
    socket.resume();
    socket.end(message.cancelRequest(this.#key!.readInt32BE(0), this.#key!.subarray(4)));
    while (!socket.destroyed) {
      if (this.isStuck) throw new Error(stuck);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookMs);
        socket.once("close", () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    this.progress++;
  }

  leave(how: Part["leaving"]): void {
    if (how === "rst" && !this.#isUnix) this.#socket.resetAndDestroy();
    else if (how === "rst" || how === "fin") this.#socket.destroy();
    else if (how === "half-close") this.#socket.end();
    else if (how === "terminate") this.#socket.end(message.terminate());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Wakes whoever waits, to be told that it is stuck. */
  giveUp(): void {
    this.isStuck = true;
    this.#notify();
  }

  /** Takes back what it allowed the answers of a part. */
  endPart(): void {
    this.checker.endPart();
    this.read({ every: 0, pauseMs: 0, times: 0 });
  }

  async #until(done: () => boolean): Promise<void> {
    for (;;) {
      if (this.checker.problem !== undefined) throw new Error(this.checker.problem);
      if (done()) return;
      if (this.isClosed) throw new Error("the connection ended");
      await this.#change();
    }
  }

  #receive(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#login) this.#logIn(chunk);
    else this.checker.feed(chunk);
    const { every, pauseMs, times } = this.#reading;
    this.#sinceStop += chunk.length;
    if (this.#stops < times && this.#sinceStop >= every) {
      this.#stops++;
      this.#sinceStop = 0;
      this.#socket.pause();
      setTimeout(() => {
        this.progress++;
        this.#socket.resume();
      }, pauseMs);
    }
    this.#notify();
  }

  #logIn(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#login!, chunk]);
    while (bytes.length >= 5 && bytes.length > bytes.readInt32BE(1)) {
      const end = bytes.readInt32BE(1) + 1;
      const type = String.fromCharCode(bytes[0]!);
      if (!loginTypes.includes(type))
        this.checker.problem = `a login is answered with ${bytes.toString("latin1", 0, end)}`;
      if (type === "K") this.#key = Buffer.from(bytes.subarray(5, end));
      bytes = bytes.subarray(end);
      if (type !== "Z") continue;
      this.#login = undefined;
      this.checker.feed(bytes);
      return;
    }
    this.#login = bytes;
  }

  #change(): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => (this.isStuck ? reject(new Error(stuck)) : resolve());
      if (this.isStuck) wake();
      else this.#wake = wake;
    });
  }

  #notify(): void {
    this.progress++;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
