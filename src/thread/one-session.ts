/**
 * One session for all clients, as they are served: PGlite behind the socket library's own queue.
 *
 * Owns: what the process itself runs before anybody listens. Does not own: booting PGlite (`engine/thread/shared.ts`); whose messages run
 * next, names of statements, data of a COPY (the patched library).
 * Invariant: while somebody listens, only the library's queue uses PGlite.
 */
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import { bootShared } from "../engine/thread/shared.ts";
import type { Behind } from "../transport/serve.ts";
import { encodeMessage } from "../wire/frontend.ts";
import type { Served } from "./served.ts";

type Engine = Awaited<ReturnType<typeof bootShared>>;

/** The only database that PGlite's session can be in. */
const databases = ["postgres"];
const nothing = Buffer.alloc(0);

/** Boots it. */
export async function openOneSession(
  options: ThreadOptions,
  extensions: Parameters<typeof bootShared>[1],
  post: Parameters<typeof bootShared>[2],
): Promise<Served> {
  return new OneSession(await bootShared(options, extensions, post));
}

class OneSession implements Served {
  readonly crash: Promise<unknown>;
  readonly #pglite: Engine;
  #crashed!: (cause: unknown) => void;
  #hasCrashed = false;
  #isListening = false;
  /** Known when somebody else has the addresses, to which clients come back as soon as they are told. */
  #death: Promise<unknown> | undefined;

  constructor(pglite: Engine) {
    this.#pglite = pglite;
    this.crash = new Promise((resolve) => {
      this.#crashed = resolve;
    });
  }

  crashed(error: unknown): void {
    this.#hasCrashed = true;
    this.#crashed(error);
  }

  run(messages: Uint8Array): Promise<Uint8Array> {
    if (this.#isListening) throw new Error("the one session is that of the clients");
    return this.#run(messages);
  }

  async #run(messages: Uint8Array): Promise<Uint8Array> {
    const answer: Uint8Array[] = [];
    const onRawData = (bytes: Uint8Array) => void answer.push(bytes.slice());
    await this.#pglite.runExclusive(() => this.#exec(messages, { onRawData }));
    return Buffer.concat(answer);
  }

  async #exec(...run: Parameters<Engine["execProtocolRawStream"]>): Promise<void> {
    if (this.#hasCrashed) throw new Error("PostgreSQL has crashed");
    await this.#pglite.execProtocolRawStream(...run);
  }

  /** PGlite swallows what its WebAssembly throws: whether it still answers is found out with a Sync. */
  async #failed(): Promise<void> {
    const answer = await this.#run(encodeMessage("S")).catch(() => nothing);
    if (answer.length === 0) this.crashed(new Error("PGlite answers nothing any more"));
  }

  logIn(): Promise<void> {
    return Promise.reject(new Error("the one session is that of postgres"));
  }

  async endOwn(): Promise<void> {}

  /** For one listener at a time: two queues would mix transactions of their clients. */
  behind(): Behind {
    if (this.#isListening) throw new Error("one session for all has one listener");
    this.#isListening = true;
    return {
      engine: {
        waitReady: this.#pglite.waitReady,
        runExclusive: (run) => this.#pglite.runExclusive(run),
        execProtocolRawStream: (...run) => this.#exec(...run),
      },
      databases,
      beforeFarewell: () => this.#death,
      activity: () => [],
      failed: () => void this.#failed(),
      crashed: async (death) => {
        this.#death = death;
      },
      takeRuns: () => [],
      closed: () => {
        this.#isListening = false;
      },
    };
  }

  close(): Promise<void> {
    return this.#pglite.close();
  }
}
