/**
 * The server of the plays, seen from here.
 *
 * Owns: its process, its socket directory, whether a new client is served and nothing of the old ones is left. Does not own: the
 * plays.
 * Invariant: the process and the directory go with `end`, and at the latest with this process.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DevDbStats } from "../../src/index.ts";
import { encodeStartup } from "../../src/wire/frontend.ts";
import { rows, WireClient } from "../../test/support/wire-client.ts";
import { dropDirectory, holdChild, makeDirectory } from "../bench/leftovers.ts";
import { withinMs } from "../fuzz/client.ts";
import type { Endpoint } from "./talker.ts";
import { Watch } from "./watch.ts";

/** Beside those of the plays there are those of cancels, and those that are on their way out. */
const maxConnections = 200;

/** A running server. */
export class FlowServer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly endpoint: Endpoint;
  readonly watch: Watch;
  #errors = "";

  private constructor(child: ChildProcess, directory: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.endpoint = { host: "127.0.0.1", port, path: join(directory, `.s.PGSQL.${port}`) };
    this.watch = new Watch(child.pid!);
  }

  /** Starts one with an empty database in memory. `program` is the built library. */
  static async start(program: string): Promise<FlowServer> {
    const directory = makeDirectory();
    const options = { port: 0, migrations: "none", maxConnections, socketDir: directory };
    const served = fileURLToPath(new URL("./served.ts", import.meta.url));
    const child = fork(served, [program, JSON.stringify(options)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    holdChild(child, "SIGKILL");
    let errors = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-5000);
      server?.noteErrors(errors);
    });
    let server: FlowServer | undefined;
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the server ended: ${errors}`)));
    ended.catch(() => {});
    const [{ port }] = (await Promise.race([once(child, "message"), ended])) as [{ port: number }];
    server = new FlowServer(child, directory, port);
    const client = await WireClient.login({ port });
    await client.query("create table sink (line text)");
    await client.end();
    return server;
  }

  noteErrors(text: string): void {
    this.#errors = text;
  }

  /** What it said on its standard error, lately. */
  get errors(): string {
    return this.#errors;
  }

  /** What is wrong while nobody but `talkers` clients is connected, each of which has asked for something. */
  async inspect(talkers: number): Promise<string | undefined> {
    const served = await this.#ask("select 'served'");
    if (served !== "served") return `a fresh client is answered ${served}`;
    let seen = "";
    const isClean = async (): Promise<boolean> => {
      const { activeConnections, connections } = await this.stats();
      // The one that asks is there, too.
      const count = await this.#ask("select count(*) from pg_stat_activity where backend_type = 'client backend'");
      const backends = Number(count) - 1;
      seen = `${activeConnections} connections, ${connections.length} in stats(), ${backends} in pg_stat_activity`;
      return activeConnections === talkers && connections.length === talkers && backends === talkers;
    };
    for (let tries = 0; !(await isClean()); tries++) {
      if (tries > 20 && this.watch.idleLooks > 0) return `${talkers} clients are connected, and there are ${seen}`;
      await sleep(100);
    }
    return undefined;
  }

  async stats(): Promise<DevDbStats> {
    const answer = once(this.#child, "message");
    this.#child.send("stats");
    return (await answer)[0] as DevDbStats;
  }

  async end(): Promise<void> {
    this.watch.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await gone;
    }
    dropDirectory(this.#directory);
  }

  /** A fresh client's answer, or what kept it from that. */
  async #ask(sql: string): Promise<string> {
    const client = await WireClient.connect({ port: this.endpoint.port });
    this.watch.forgetIdleness();
    try {
      client.send(encodeStartup({ user: "postgres", database: "postgres" }));
      const asked = client.until("Z").then(() => client.query(sql));
      while (!(await withinMs(500, asked))) if (this.watch.isIdle) return "nothing, and the server is idle";
      return rows(await asked)[0]?.[0] ?? "nothing";
    } catch (error) {
      return String(error);
    } finally {
      client.destroy();
    }
  }
}
