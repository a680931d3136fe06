/**
 * The product's engine, on its thread, behind the product's listener: for tests of what only both together do.
 *
 * Owns: starting and stopping them for a test file, and its clients. Does not own: what a test does.
 * Invariant: everything is closed at the end of the file; a test's clients at the end of the test.
 */
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { type EngineOptions, openEngine } from "../../src/engine/kept-engine.ts";
import type { ListenOptions, Transport } from "../../src/engine/listener.ts";
import { type BackendMessage, message, WireClient } from "./wire-client.ts";

/** What a product server takes beside its defaults: a database in memory, timeouts that no test meets by accident. */
export interface ProductServerOptions {
  /** A session for each connection by default. */
  readonly sessions?: "isolated" | "shared";
  readonly engine?: Partial<EngineOptions>;
  readonly listen?: Partial<ListenOptions>;
}

/** A client and the key to cancel what it runs. */
export interface KeyedClient {
  readonly client: WireClient;
  readonly processId: number;
  readonly secretKey: Buffer;
}

/** Registers the hooks of a server for the file or `describe` around it. */
export function productServer(options: ProductServerOptions = {}): ProductServer {
  const server = new ProductServer(options);
  beforeAll(() => server.start());
  afterEach(() => server.dropClients());
  afterAll(() => server.stop());
  return server;
}

/** The server of the running file. */
export class ProductServer {
  readonly #options: ProductServerOptions;
  readonly #clients: WireClient[] = [];
  engine!: Engine;
  transport!: Transport;
  /** What the engine said. */
  readonly log: string[] = [];

  constructor(options: ProductServerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const isIsolated = this.#options.sessions !== "shared";
    this.engine = await openEngine({
      ...(isIsolated ? { maxSessions: 100 } : {}),
      dataDir: "memory://",
      extensions: [],
      // A busy machine is none of what the log is looked at for.
      slowStartMs: 600_000,
      log: (level, line) => void (level !== "debug" && this.log.push(line)),
      ...this.#options.engine,
    });
    this.transport = await this.listen();
  }

  /** Opens one more listener on the engine, for a test that stops it. */
  listen(options: Partial<ListenOptions> = {}): Promise<Transport> {
    return this.engine.listen({
      host: "127.0.0.1",
      port: 0,
      maxConnections: 100,
      idleTimeoutMs: 0,
      stallTimeoutMs: 60_000,
      transactionIdleTimeoutMs: 60_000,
      ...this.#options.listen,
      ...options,
    });
  }

  async stop(): Promise<void> {
    await this.transport?.stop();
    await this.engine?.close();
  }

  dropClients(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  /** Logs a client in; the test's end closes it. */
  async login(parameters: Record<string, string> = {}): Promise<WireClient> {
    return (await this.loginWithKey(parameters)).client;
  }

  /** Logs a client in and keeps what its BackendKeyData says. */
  async loginWithKey(parameters: Record<string, string> = {}, version = 3 << 16): Promise<KeyedClient> {
    const client = await WireClient.connect(this.transport);
    this.#clients.push(client);
    client.send(message.startup({ user: "postgres", database: "postgres", ...parameters }, version));
    const key = (await client.until("Z")).find(({ type }) => type === "K")!.body;
    return { client, processId: key.readInt32BE(0), secretKey: key.subarray(4) };
  }

  /** Sends a CancelRequest and waits for the server to close, as libpq does. */
  async cancel(processId: number, secretKey: Buffer): Promise<void> {
    const client = await WireClient.connect(this.transport);
    client.send(message.cancelRequest(processId, secretKey));
    await client.untilEnd();
  }

  /** Resolves when the connection runs something; its session may be parked meanwhile, and then it waits. */
  async running(processId: number): Promise<void> {
    const runs = (state: string | undefined) => state === "running" || state === "waiting";
    while (!runs(await this.stateOf(processId))) await new Promise((resolve) => setImmediate(resolve));
  }

  /** What a connection does. */
  async stateOf(processId: number): Promise<string | undefined> {
    const { connections } = await this.transport.stats();
    return connections.find((connection) => connection.processId === processId)?.state;
  }
}

/** The answer in one line: type letters, and an error's SQLSTATE in its place. */
export function outline(messages: readonly BackendMessage[]): string {
  const code = (body: Buffer) => /\0C(\w{5})\0/.exec(body.toString("latin1"))?.[1];
  return messages
    .map(({ type, body }) => (type === "E" ? `E(${code(body)})` : type === "Z" ? `Z${body.toString()}` : type))
    .join("");
}
