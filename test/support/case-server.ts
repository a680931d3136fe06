/**
 * A server for the cases of one test file, on one of the two libraries.
 *
 * Owns: its engine, its clients, and closing both. Does not own: what a case does.
 * Invariant: on ours all cases share one engine, so that whatever a case leaves behind meets the next one; on the stock
 * library every case has its own, because a failure may ruin it, unless the file says that none does.
 */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { ask, hear } from "./answer.ts";
import { closeEngine, createEngine } from "./engines.ts";
import { startServer, type Target, type TestServer, type TestServerOptions } from "./servers.ts";
import { WireClient } from "./wire-client.ts";

// On the stock library an answer that does not come is what a case waits for; on ours it is the end of a broken test.
const patienceMs: Record<Target, number> = { stock: 500, ours: 20_000 };

/** What a case server takes beside the library's options. */
export interface CaseServerOptions extends Omit<TestServerOptions, "db"> {
  /** SQL that makes the tables of the cases. */
  schema?: string;
  /** No case ruins the engine of the stock library, or leaves anything there that another one meets. */
  sharesStockEngine?: boolean;
  /** Stands between the engine and the server. */
  wrapEngine?: (engine: PGlite) => PGlite;
}

/** Registers the hooks of a case server for the cases of the `describe` around it. */
export function caseServer(target: Target, options: CaseServerOptions = {}): CaseServer {
  const server = new CaseServer(target, options);
  const shares = target === "ours" || options.sharesStockEngine;
  const [before, after] = shares ? [beforeAll, afterAll] : [beforeEach, afterEach];
  before(() => server.start());
  afterEach(() => server.dropClients());
  after(() => server.stop());
  return server;
}

/** The server of the running case. */
export class CaseServer {
  /** How long a case waits for an answer, as `hear` counts it. */
  readonly limitMs: number;
  readonly #target: Target;
  readonly #options: CaseServerOptions;
  #engine: PGlite | undefined;
  #server: TestServer | undefined;
  #clients: WireClient[] = [];

  constructor(target: Target, options: CaseServerOptions) {
    this.#target = target;
    this.#options = options;
    this.limitMs = patienceMs[target];
  }

  /** Where it listens, and what a test may look at. */
  get running(): TestServer {
    return this.#server!;
  }

  /** Logs in a client for each name, which becomes its application_name; the case's end closes them. */
  async clients<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ [Index in keyof Names]: WireClient }> {
    const clients = [];
    for (const name of names) clients.push(await this.#login(name));
    return clients as { [Index in keyof Names]: WireClient };
  }

  /** Sends messages in one write and returns the answer as `hear` does. */
  ask(client: WireClient, ...messages: Uint8Array[]): Promise<string> {
    return ask(client, messages, this.limitMs);
  }

  /** The next answer in one line. */
  hear(client: WireClient): Promise<string> {
    return hear(client, this.limitMs);
  }

  async start(): Promise<void> {
    const { schema, wrapEngine, sharesStockEngine, ...options } = this.#options;
    this.#engine = await createEngine();
    if (schema) await this.#engine.exec(schema);
    this.#server = await startServer(this.#target, { ...options, db: wrapEngine?.(this.#engine) ?? this.#engine });
  }

  dropClients(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    if (this.#engine) await closeEngine(this.#engine);
    this.#server = this.#engine = undefined;
  }

  async #login(applicationName: string): Promise<WireClient> {
    const client = await WireClient.login(this.running, { application_name: applicationName });
    this.#clients.push(client);
    return client;
  }
}
