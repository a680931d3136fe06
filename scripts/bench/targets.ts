/**
 * The targets of the benchmark, by name.
 *
 * Owns: what each one runs. Does not own: what the benchmark asks of a target (`target.ts`).
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TargetName } from "./catalogue.ts";
import { InProcessTarget } from "./in-process-target.ts";
import { type Launched, LaunchedTarget } from "./launched-target.ts";
import type { Endpoint } from "./link.ts";
import { familyMemoryMb, peakMemoryMb } from "./process-usage.ts";
import { findPostgres, PostgresCluster } from "./real-postgres.ts";
import { ServerProcess } from "./server-process.ts";
import type { Spawned, Target } from "./target.ts";

/** The target of a name. `profile` makes its long-lived server write a CPU profile to the current directory. */
export function createTarget(name: TargetName, profile: boolean): Target {
  switch (name) {
    case "ours":
      return new ServerTarget(name, ours, profile);
    case "traced":
      return new TracedTarget(profile);
    case "shared":
      return new ServerTarget(name, [...ours, "--sessions", "shared"], profile);
    case "stock":
      return new ServerTarget(name, [file("./stock-server.ts")], profile);
    case "constants":
      return new ServerTarget(name, [file("./constants-server.ts")], profile);
    case "postgres":
      return new PostgresTarget();
    case "in-process":
      return new InProcessTarget();
  }
}

const file = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const cli = file("../../dist/cli.js");
const ours = [cli, "start", "--port", "0", "--migrations", "none", "-o", "json", "--max-connections", "100"];

class ServerTarget extends LaunchedTarget {
  readonly name: TargetName;
  readonly #script: readonly string[];
  readonly #profile: boolean;

  constructor(name: TargetName, script: readonly string[], profile: boolean) {
    super();
    this.name = name;
    this.#script = script;
    this.#profile = profile;
  }

  protected async launch(main: boolean): Promise<Launched> {
    if (!existsSync(this.#script[0]!)) throw new Error("dist/cli.js is not there; npm run build makes it");
    const profile = main && this.#profile ? ["--cpu-prof", `--cpu-prof-name=bench-${this.name}.cpuprofile`] : [];
    const server = new ServerProcess({
      file: process.execPath,
      args: [...profile, ...this.#script],
      stopSignal: "SIGTERM",
      haltSignal: "SIGTERM",
    });
    return { server, endpoint: await endpointOf(server) };
  }

  protected memoryMb(pid: number): number | undefined {
    return peakMemoryMb(pid);
  }
}

/** Ours, and all that its clients say is recorded. */
class TracedTarget extends ServerTarget {
  readonly #directory: string;

  constructor(profile: boolean) {
    const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-bench-"));
    super("traced", [...ours, "--trace", join(directory, "bench.trace")], profile);
    this.#directory = directory;
  }

  override async stop(): Promise<void> {
    await super.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

class PostgresTarget extends LaunchedTarget {
  readonly name = "postgres";
  readonly #clusters: PostgresCluster[] = [];

  // The spawn row starts a server on a cluster of its own, made once: initdb is not part of a start.
  protected async launch(main: boolean): Promise<Launched> {
    const programs = findPostgres();
    if (programs === undefined) throw new Error("no initdb in /usr/lib/postgresql/*/bin or on the PATH");
    const index = main ? 0 : 1;
    this.#clusters[index] ??= await PostgresCluster.create(programs);
    return this.#clusters[index].start();
  }

  protected memoryMb(pid: number): number | undefined {
    return familyMemoryMb(pid);
  }

  override async spawnToFirstRow(): Promise<Spawned> {
    if (this.#clusters[1] === undefined) {
      const { server } = await this.launch(false);
      await server.stop();
    }
    return super.spawnToFirstRow();
  }

  override async stop(): Promise<void> {
    await super.stop();
    for (const cluster of this.#clusters) cluster?.drop();
  }
}

/** Reads the ready line; ends the server when it is not one. */
async function endpointOf(server: ServerProcess): Promise<Endpoint> {
  const line = await server.readyLine();
  try {
    const url = new URL((JSON.parse(line) as { url: string }).url);
    return {
      host: url.hostname,
      port: Number(url.port),
      user: decodeURIComponent(url.username) || "postgres",
      database: decodeURIComponent(url.pathname.slice(1)) || "postgres",
    };
  } catch {
    await server.stop();
    throw new Error(`its ready line is not one: ${line}`);
  }
}
