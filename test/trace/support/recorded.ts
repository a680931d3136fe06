/**
 * A proxy that records, before a server of a test.
 *
 * Owns: the proxy and its file. Does not own: the server.
 */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startProxy } from "../../../src/trace/record/proxy.ts";
import { Recorder } from "../../../src/trace/record/recorder.ts";
import { createTraceFile } from "../../../src/trace/record/trace-file.ts";
import { startServerProcess } from "../../../src/trace/repro/server-process.ts";
import { temporaryDirectory } from "../../support/cli-process.ts";

const builtCli = new URL("../../../dist/cli.js", import.meta.url).pathname;

/** A proxy before `port`; `stop` resolves with the trace. */
export async function recordBefore(port: number): Promise<{ port: number; stop: () => Promise<string> }> {
  const file = join(temporaryDirectory(), "recorded.trace");
  createTraceFile(file, "--trace");
  const header = { began: Date.now(), by: "proxy" as const, versions: {}, settings: {} };
  const recorder = new Recorder({ file, limitBytes: 1024 ** 3, header }, (error) => {
    throw error;
  });
  const proxy = await startProxy(0, { host: "127.0.0.1", port }, recorder);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= proxy.stop();
    return stopped;
  };
  onTestFinished(stop);
  return { port: proxy.port, stop: async () => (await stop(), file) };
}

/** The stock library in a process of its own; the test's end ends it. */
export async function startStock(): Promise<number> {
  const server = await startServerProcess(builtCli, ["repro", "--serve", "stock"], new AbortController().signal);
  onTestFinished(() => server.stop());
  return server.address.port;
}
