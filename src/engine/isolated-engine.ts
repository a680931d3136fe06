/**
 * An engine with a session for each client: its clients are on the engine thread, and what is left here is to keep it.
 *
 * Owns: the listeners that outlive a thread. Does not own: clients (`../thread/`), death and rebirth (`keeper.ts`).
 * Invariant: no byte of a client passes through here, but of those who came while there was no engine.
 */
import type { Engine, EngineInput, ExecOptions, IdleTimeouts } from "./engine.ts";
import { EngineWorker } from "./engine-worker.ts";
import { type EngineOptions, Keeper } from "./keeper.ts";
import { KeptListener } from "./kept-listener.ts";
import type { ListenOptions, Transport } from "./listener.ts";
import type { BootCircumstances } from "./thread-life.ts";

/** See the head of the file. */
export class IsolatedEngine extends Keeper<EngineWorker> {
  readonly #maxSessions: number;
  readonly #listeners = new Map<number, KeptListener>();
  #lastListener = 0;

  constructor(options: EngineOptions & { readonly maxSessions: number }) {
    super(options);
    this.#maxSessions = options.maxSessions;
  }

  async listen(options: ListenOptions): Promise<Transport> {
    return this.#listenOn(await this.#alive(), options);
  }

  async execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void> {
    await (await this.#alive()).exec(message, options);
  }

  // Clients cancel their statements on the engine thread, and there the timeouts of theirs are looked at.
  interrupt(): void {}

  idleTimeouts(): IdleTimeouts {
    return {};
  }

  protected bootThread(circumstances: BootCircumstances): Promise<EngineWorker> {
    const { consequence } = this;
    return EngineWorker.boot(
      { ...this.options, ...circumstances, maxSessions: this.#maxSessions, consequence },
      {
        onDeath: (worker, cause, runs) => {
          const farewell = this.died(worker, cause, runs);
          // Where no other engine follows nobody waits for one.
          const listeners = farewell ? [] : [...this.#listeners.values()];
          void Promise.all(listeners.map((listener) => listener.abandoned(worker))).then(() => worker.held(farewell));
        },
        onDeaf: ({ processId, applicationName, statement }, ms) => {
          const text = statement.replaceAll(/\s+/g, " ").trim();
          const who = `process ${processId} (application_name "${applicationName}"): "${text}"`;
          this.log("info", `${who} has not looked for interrupts for ${ms / 1000} s, and the others wait for it`);
        },
        onLine: (listener, line) => this.#listeners.get(listener)?.options.log?.(line),
      },
    );
  }

  protected alone(worker: EngineWorker): Pick<Engine, "listen" | "execProtocolRawStream"> {
    return {
      listen: (options) => this.#listenOn(worker, options),
      execProtocolRawStream: (message, options) => worker.exec(message, options),
    };
  }

  protected async replaced(worker: EngineWorker): Promise<void> {
    for (const listener of this.#listeners.values()) if (!listener.isOn(worker)) await listener.moveTo(worker);
  }

  // The thread ends its sessions by itself when it closes.
  protected async quiesce(): Promise<void> {}

  async #alive(): Promise<EngineWorker> {
    await this.revived();
    const { thread } = this;
    if (!thread) throw new Error("the engine is closed");
    return thread;
  }

  async #listenOn(worker: EngineWorker, options: ListenOptions): Promise<Transport> {
    const number = ++this.#lastListener;
    const listener = new KeptListener(number, options, {
      onStopped: () => this.#listeners.delete(number),
      // Whoever comes while there is no engine has one made, if the last attempt failed.
      onWaiting: () => this.revived(),
    });
    this.#listeners.set(number, listener);
    try {
      await listener.listen(worker);
    } catch (error) {
      this.#listeners.delete(number);
      throw error;
    }
    return listener;
  }
}
