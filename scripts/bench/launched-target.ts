/**
 * A target that is a server in a process of its own.
 *
 * Owns: its running server, its load process, the spawn measurement, its memory. Does not own: which server it is
 * (`targets.ts`).
 * Invariant: a server that is launched for the spawn row has ended when its measurement has.
 */
import { simple } from "./batches.ts";
import type { RowName, TargetName } from "./catalogue.ts";
import type { CellResult } from "./cell.ts";
import { type Endpoint, exchange, openSocketLink } from "./link.ts";
import { LoadDriver } from "./load-driver.ts";
import { familyCpuMs } from "./process-usage.ts";
import type { ServerProcess } from "./server-process.ts";
import type { Spawned, Target } from "./target.ts";

/** A server that lets clients in. */
export interface Launched {
  readonly server: ServerProcess;
  readonly endpoint: Endpoint;
}

/** The common part of such targets; a subclass says how its server is launched and measured. */
export abstract class LaunchedTarget implements Target {
  abstract readonly name: TargetName;
  readonly #load = new LoadDriver();
  #running: Launched | undefined;
  #peakMb = 0;

  /** Starts a server. `main` is the one that serves the load; the others are for the spawn row. */
  protected abstract launch(main: boolean): Promise<Launched>;
  protected abstract memoryMb(pid: number): number | undefined;

  async start(): Promise<void> {
    this.#running = await this.launch(true);
  }

  run(row: RowName, seconds: number): Promise<CellResult> {
    const strictness = this.name === "constants" ? "shape" : "values";
    const { endpoint, server } = this.#running ?? {};
    return this.#load.run({ row, seconds, endpoint, serverPid: server?.pid, strictness });
  }

  async spawnToFirstRow(): Promise<Spawned> {
    const start = performance.now();
    const { server, endpoint } = await this.launch(false);
    try {
      await ask(endpoint, "select 1");
      return { elapsedMs: performance.now() - start, cpuMs: familyCpuMs(server.pid) };
    } finally {
      await server.stop();
    }
  }

  sampleMemory(): void {
    const now = this.#running && this.memoryMb(this.#running.server.pid);
    this.#peakMb = Math.max(this.#peakMb, now ?? 0);
  }

  peakMb(): number | undefined {
    this.sampleMemory();
    return this.#peakMb || undefined;
  }

  async serverVersion(): Promise<string | undefined> {
    if (this.#running === undefined || this.name === "constants") return undefined;
    const version = (await ask(this.#running.endpoint, "show server_version_num")) ?? 0;
    return `${Math.floor(version / 10_000)}.${version % 10_000}`;
  }

  async restart(): Promise<void> {
    this.sampleMemory();
    await this.#running?.server.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#load.stop();
    await this.#running?.server.stop();
  }
}

/** Logs in, asks for one number, hangs up. */
async function ask(endpoint: Endpoint, sql: string): Promise<number | undefined> {
  const link = await openSocketLink(endpoint);
  const answer = await exchange(link, simple(sql));
  await link.close();
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.value;
}
