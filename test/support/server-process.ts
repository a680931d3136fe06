/**
 * The patched library in a process of its own, for tests whose failure is a process that hangs.
 *
 * Owns: bundling it, starting it, killing it. Does not own: what a test does to it.
 * Invariant: a process started here does not outlive its caller's `stop`, however it hangs, nor the test process.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PGLiteSocketServerOptions } from "@electric-sql/pglite-socket";
import { build } from "esbuild";
import { engineTemplate } from "./engines.ts";

/** A server in another process. */
export interface ServerProcess {
  readonly port: number;
  /** Whether the process has ended on its own. */
  ended(): boolean;
  /** Kills the process. */
  stop(): Promise<void>;
}

/** Starts one with an empty database in memory. */
export async function startServerProcess(options: Omit<PGLiteSocketServerOptions, "db"> = {}): Promise<ServerProcess> {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-server-"));
  const script = join(directory, "serve.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "serve.ts")],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    plugins: [
      {
        name: "the engine stays where it is",
        setup: (plugin) => {
          plugin.onResolve({ filter: /^@electric-sql\/pglite$/ }, ({ path }) => ({
            path: import.meta.resolve(path),
            external: true,
          }));
        },
      },
    ],
  });
  const child = fork(script, [JSON.stringify(options), await engineTemplate()]);
  let hasEnded = false;
  child.once("exit", () => {
    hasEnded = true;
  });
  const [first] = await Promise.race([once(child, "message"), once(child, "exit").then(() => [undefined])]);
  const port = (first as { port: number } | undefined)?.port;
  if (port === undefined) throw new Error("the server process ended before it listened");
  return {
    port,
    ended: () => hasEnded,
    stop: async () => {
      if (!hasEnded) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
