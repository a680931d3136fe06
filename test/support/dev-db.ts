/**
 * The library as a caller has it, and raw clients of it: for tests of what the whole product does.
 *
 * Owns: starting it for a test file, its clients, and the end of both. Does not own: what a test does.
 * Invariant: everything is closed at the end of the file; a test's clients at the end of the test.
 */
import { afterAll, afterEach, beforeAll } from "vitest";
import { type DevDb, type DevDbOptions, startDevDb } from "../../src/index.ts";
import { summary } from "./answer.ts";
import { errorFields, message, WireClient } from "./wire-client.ts";

/** Registers the hooks of a database in memory, without migrations, for the file or `describe` around it. */
export function servedDb(options: DevDbOptions = {}, schema = ""): ServedDb {
  const served = new ServedDb(options, schema);
  beforeAll(() => served.start());
  afterEach(() => served.dropClients());
  afterAll(() => served.db.close());
  return served;
}

/** The database of the running file. */
export class ServedDb {
  readonly #options: DevDbOptions;
  readonly #schema: string;
  #clients: WireClient[] = [];
  db!: DevDb;

  constructor(options: DevDbOptions, schema: string) {
    this.#options = options;
    this.#schema = schema;
  }

  async start(): Promise<void> {
    this.db = await startDevDb({ port: 0, migrations: "none", ...this.#options });
    const client = await this.login();
    if (this.#schema !== "") await client.query(this.#schema);
    await client.end();
  }

  dropClients(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  /** Connects without a word; the test's end closes it. */
  async connect(): Promise<WireClient> {
    const client = await WireClient.connect(this.db);
    this.#clients.push(client);
    return client;
  }

  /** Logs a client in; `key` cancels what it runs. */
  async keyed(parameters: Record<string, string> = {}): Promise<{ client: WireClient; pid: number; key: Buffer }> {
    const client = await this.connect();
    client.send(message.startup({ user: "postgres", database: "postgres", ...parameters }));
    const body = (await client.until("Z")).find(({ type }) => type === "K")!.body;
    return { client, pid: body.readInt32BE(0), key: Buffer.from(body.subarray(4)) };
  }

  async login(parameters: Record<string, string> = {}): Promise<WireClient> {
    return (await this.keyed(parameters)).client;
  }

  /** Sends a CancelRequest and waits for the server to close, as libpq does. */
  async cancel({ pid, key }: { readonly pid: number; readonly key: Buffer }): Promise<void> {
    const client = await this.connect();
    client.send(message.cancelRequest(pid, key));
    await client.untilEnd();
  }
}

/** The next answer in one line. */
export async function answer(client: WireClient): Promise<string> {
  return summary(await client.until("Z"));
}

/** The SQLSTATE of the error with which the connection ends. */
export async function sqlstate(client: WireClient): Promise<string | undefined> {
  return errorFields(await client.untilEnd())?.get("C");
}
