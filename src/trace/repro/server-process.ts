/**
 * A server in a process of its own, so that it can neither slow down nor survive the storm on it.
 *
 * Owns: the process, from its start to its end. Does not own: what it serves.
 * Invariant: the process is gone when its start has rejected, when `stop` has resolved, and soon after this process
 * has ended in whatever way, because then its IPC channel closes.
 */
import { fork } from "node:child_process";
import type { ServerAddress } from "../storm/raw-connection.ts";

/** A running server. */
export interface ReproServer {
  readonly address: ServerAddress;
  /** Resolves when it has ended, with how it ended; never rejects. */
  readonly ended: Promise<string>;
  /** Ends it. Idempotent. */
  stop(): Promise<void>;
}

const readyMs = 60_000;
const keptWords = 2000;

/**
 * Starts a module that sends `{ port }` over its IPC channel when it listens on 127.0.0.1. Rejects with the process's
 * last words when it ends before or is not ready within a minute, and with the signal's reason when that is aborted;
 * a later abort ends the process.
 */
export async function startServerProcess(
  modulePath: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<ReproServer> {
  signal.throwIfAborted();
  const child = fork(modulePath, args, { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [] });
  // There is nothing to be closed in an orderly way: the data is in memory.
  const kill = () => void child.kill("SIGKILL");
  let lastWords = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-keptWords);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, by) => resolve(`its process ended (${by ?? `exit ${code}`}) ${lastWords.trim()}`.trim()));
  });
  signal.addEventListener("abort", kill, { once: true });
  const timer = setTimeout(kill, readyMs);
  void ended.then(() => signal.removeEventListener("abort", kill));

  const ready = new Promise<number>((resolve) => {
    child.on("message", (message: { port?: number }) => resolve(Number(message.port)));
  });
  const port = await Promise.race([ready, ended]);
  clearTimeout(timer);
  if (typeof port === "string") {
    signal.throwIfAborted();
    throw new Error(`a server for the comparison did not start: ${port}`);
  }
  const stop = async () => {
    kill();
    await ended;
  };
  return { address: { host: "127.0.0.1", port }, ended, stop };
}
