/**
 * What one server process needs: time to its first row, memory when it is idle, memory while gigabytes go through it.
 *
 * Owns: the order of the measurements and reading the figures. Does not own: the traffic (`traffic.ts`).
 * Invariant: the server has ended when a measurement has. Figures are those of Linux; elsewhere they are undefined.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WireClient } from "../../test/support/wire-client.ts";
import { ServerProcess } from "../bench/server-process.ts";
import { type Transfer, transfer, transfers } from "./traffic.ts";

/** How the server is started. */
interface Configuration {
  readonly sessions: "shared" | "isolated";
  /** A data directory, or `memory://`. */
  readonly db: string;
}

/** Memory is resident size in MB (VmRSS, VmHWM). */
interface Figures {
  /** From the start of the process to the answer to `select 1`. */
  readonly firstRowMs: number;
  /** The peak until then and in the seconds after. */
  readonly startMb: number | undefined;
  readonly idleMb: number | undefined;
  /** The peak while so much went through. */
  readonly peaksMb: ReadonlyMap<Transfer, number | undefined>;
}

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
/** After its start a server is busy with what V8 optimizes. */
const settleMs = 3_000;

/** Starts a server, measures, ends it. Without megabytes nothing is sent through. */
export async function measure({ sessions, db }: Configuration, megabytes: number): Promise<Figures> {
  const began = performance.now();
  const options = ["--port", "0", "--migrations", "none", "-o", "json", "--sessions", sessions, "--db", db];
  const server = new ServerProcess({
    file: process.execPath,
    args: [cli, "start", ...options],
    stopSignal: "SIGTERM",
    haltSignal: "SIGKILL",
  });
  try {
    const { port } = JSON.parse(await server.readyLine()) as { port: number };
    const endpoint = { host: "127.0.0.1", port };
    const client = await WireClient.login(endpoint);
    await client.query("select 1");
    const firstRowMs = performance.now() - began;
    await client.end();
    if (megabytes > 0) await sleep(settleMs);
    const { pid } = server;
    const [startMb, idleMb] = [residentMb(pid, "VmHWM"), residentMb(pid, "VmRSS")];
    const peaksMb = new Map<Transfer, number | undefined>();
    for (const what of megabytes > 0 ? transfers : []) {
      // One session for all keeps the data of a COPY until its end, and refuses more.
      if (sessions === "shared" && what === "COPY FROM STDIN" && megabytes > 60) continue;
      forgetPeak(pid);
      await transfer(what, endpoint, megabytes, db !== "memory://");
      peaksMb.set(what, residentMb(pid, "VmHWM"));
    }
    return { firstRowMs, startMb, idleMb, peaksMb };
  } finally {
    await server.stop();
  }
}

/** Of a process now, or at most; undefined where the system does not say. */
export function residentMb(pid: number, name: "VmRSS" | "VmHWM"): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** Sets VmHWM back to VmRSS (proc_pid_clear_refs(5)). */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Then the peaks include those before.
  }
}
