/**
 * The command of `run`, with everything that it starts.
 *
 * Owns: one child process and its process group, from its start to the end of its last member. Does not own: the
 * database, or when the whole has to end.
 * Invariant: when `ended` settles nothing of the group is left running; a member that takes itself out of the group
 * (setsid) is out of reach.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { guardGroup, signalGroup } from "../dev-db/process-group.ts";
import { resolveCommand, whyNotStartable } from "./resolve-command.ts";
import { type SignalReceived, signalExitCode } from "./signals.ts";

/** How long the child may go on after a signal, and what it leaves behind after its end, before they are killed. */
const graceMs = { child: 3_000, leftover: 1_000 };

/** A command that cannot be started; the exit codes are those of a shell. */
class ChildStartError extends Error {
  override readonly name = "ChildStartError";
  readonly exitCode: number;
  constructor(command: string, cause: Pick<NodeJS.ErrnoException, "code">) {
    const missing = cause.code === "ENOENT";
    const name = JSON.stringify(command);
    super(missing ? `run: there is no command ${name}` : `run: ${name} cannot be executed (${cause.code})`, { cause });
    this.exitCode = missing ? 127 : 126;
  }
}

/** What `startChild` takes. */
interface ChildOptions {
  /** The command and its arguments, passed on as they are. */
  argv: readonly string[];
  environment: NodeJS.ProcessEnv;
  cwd: string;
  /** Aborted with a `SignalReceived`: the signal is forwarded, and the child has a bounded time to end. */
  signal: AbortSignal;
}

/** A running child. */
export interface Child {
  /** Kills the group at once; for the last moment of this process. */
  kill(): void;
  /** Resolves with the exit code, 128+n if a signal ended the child. Rejects with a `ChildStartError`. */
  readonly ended: Promise<number>;
}

/** Throws a `ChildStartError` when it is plain that the command cannot be started: before anything that takes time is done for it. */
export function checkCommand({ argv, environment, cwd }: Omit<ChildOptions, "signal">): void {
  const [command = ""] = argv;
  const code = whyNotStartable(command, { platform: process.platform, environment, cwd });
  if (code) throw new ChildStartError(command, { code });
}

/** Starts a command with this process's stdin, stdout and stderr. */
export function startChild(options: ChildOptions): Child {
  const { argv, environment, cwd, signal } = options;
  const target = resolveCommand(argv, { platform: process.platform, environment, cwd });
  let child: ChildProcess;
  try {
    child = spawn(target.file, target.args, {
      cwd,
      env: environment,
      stdio: "inherit",
      windowsVerbatimArguments: target.verbatim,
      // A group of its own, so that what the command starts can be reached as well.
      detached: process.platform !== "win32",
    });
  } catch (error) {
    // Some errors (an argument with a NUL, EACCES on some systems) are thrown, others are emitted.
    return {
      kill: () => {},
      ended: Promise.reject(new ChildStartError(argv[0] ?? "", error as NodeJS.ErrnoException)),
    };
  }
  const kill = () => signalGroup(child, "SIGKILL");
  const endGuard = guardGroup(child);
  return { kill, ended: watch(child, argv[0] ?? "", signal, kill).finally(endGuard) };
}

async function watch(child: ChildProcess, command: string, signal: AbortSignal, kill: () => void): Promise<number> {
  let grace: NodeJS.Timeout | undefined;
  let killedFor: number | undefined;
  const forward = () => {
    const { signal: received } = signal.reason as SignalReceived;
    grace = setTimeout(() => {
      killedFor = signalExitCode(received);
      kill();
    }, graceMs.child);
    signalGroup(child, received);
  };
  try {
    const exited = new Promise<number>((resolve, reject) => {
      child.once("error", (error) => reject(new ChildStartError(command, error as NodeJS.ErrnoException)));
      child.once("exit", (code, by) => resolve(code ?? signalExitCode(by ?? "SIGKILL")));
    });
    signal.addEventListener("abort", forward, { once: true });
    if (signal.aborted) forward();
    const code = await exited;
    return killedFor ?? code;
  } finally {
    signal.removeEventListener("abort", forward);
    clearTimeout(grace);
    await endGroup(child);
  }
}

/** Ends what the child has left behind: asked first, killed after a while. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (process.platform === "win32") return;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const deadline = performance.now() + graceMs.leftover;
    if (!signalGroup(child, signal)) return;
    while (performance.now() < deadline) {
      if (!signalGroup(child, 0)) return;
      await delay(20);
    }
  }
}
