/**
 * The command of `run`, with everything that it starts.
 *
 * Owns: one child process and its process group, from its start to the end of its last member. Does not own: the
 * database, or when the whole has to end.
 * Invariant: when `ended` settles nothing of the group is left running; a member that takes itself out of the group
 * (setsid) is out of reach. With a terminal the command stays in this process's group, and decides what Ctrl-C means.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { guardGroup, signalGroup } from "../dev-db/process-group.ts";
import type { Log } from "../options.ts";
import { guardForeground, hasTerminal, listGroup, signalForeground } from "./foreground.ts";
import { resolveCommand, whyNotStartable } from "./resolve-command.ts";
import { type SignalReceived, signalExitCode } from "./signals.ts";

/** The time for the child's leftover processes to end after the child, before they are killed. */
const leftoverGraceMs = 1_000;

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
  /** Aborted with a `SignalReceived`: the signal is forwarded, and the child has `graceMs` to end. */
  signal: AbortSignal;
  /** 0 for no limit. */
  graceMs: number;
  log: Log;
}

/** The child with what it has started. */
interface ChildGroup {
  /** Signals all (0 only asks); false if nobody is left. */
  readonly signal: (signal: NodeJS.Signals | 0) => boolean;
  readonly guard: () => () => void;
}

/** A running child. */
export interface Child {
  /** Kills the group at once; for the last moment of this process. */
  kill(): void;
  /** Resolves with the exit code, 128+n if a signal ended the child. Rejects with a `ChildStartError`. */
  readonly ended: Promise<number>;
}

/** Throws a `ChildStartError` when it is plain that the command cannot be started: before anything that takes time is done for it. */
export function checkCommand({ argv, environment, cwd }: Pick<ChildOptions, "argv" | "environment" | "cwd">): void {
  const [command = ""] = argv;
  const code = whyNotStartable(command, { platform: process.platform, environment, cwd });
  if (code) throw new ChildStartError(command, { code });
}

/** Starts a command with this process's stdin, stdout and stderr. */
export function startChild(options: ChildOptions): Child {
  const { argv, environment, cwd } = options;
  const target = resolveCommand(argv, { platform: process.platform, environment, cwd });
  const before = hasTerminal() ? listGroup() : undefined;
  let child: ChildProcess;
  try {
    child = spawn(target.file, target.args, {
      cwd,
      env: environment,
      stdio: "inherit",
      windowsVerbatimArguments: target.verbatim,
      // A separate group, so that signals also reach the processes that the command starts. Such a group would be without the terminal.
      detached: process.platform !== "win32" && before === undefined,
    });
  } catch (error) {
    // Some errors (an argument with a NUL, EACCES on some systems) are thrown, others are emitted.
    return {
      kill: () => {},
      ended: Promise.reject(new ChildStartError(argv[0] ?? "", error as NodeJS.ErrnoException)),
    };
  }
  const group: ChildGroup =
    before === undefined
      ? { signal: (signal) => signalGroup(child, signal), guard: () => guardGroup(child) }
      : { signal: (signal) => signalForeground(child, before, signal), guard: () => guardForeground(child, before) };
  const endGuard = group.guard();
  return { kill: () => void group.signal("SIGKILL"), ended: watch(child, group, options).finally(endGuard) };
}

async function watch(child: ChildProcess, group: ChildGroup, options: ChildOptions): Promise<number> {
  const { argv, signal, graceMs, log } = options;
  let grace: NodeJS.Timeout | undefined;
  let killedFor: number | undefined;
  const forward = () => {
    const { signal: received } = signal.reason as SignalReceived;
    const kill = () => {
      log("error", `run: killing the command: it did not end within ${graceMs / 1000} s after ${received}`);
      killedFor = signalExitCode(received);
      group.signal("SIGKILL");
    };
    if (graceMs > 0) grace = setTimeout(kill, graceMs);
    group.signal(received);
  };
  try {
    const exited = new Promise<number>((resolve, reject) => {
      child.once("error", (error) => reject(new ChildStartError(argv[0] ?? "", error as NodeJS.ErrnoException)));
      child.once("exit", (code, by) => resolve(code ?? signalExitCode(by ?? "SIGKILL")));
    });
    signal.addEventListener("abort", forward, { once: true });
    if (signal.aborted) forward();
    const code = await exited;
    return killedFor ?? code;
  } finally {
    signal.removeEventListener("abort", forward);
    clearTimeout(grace);
    await endGroup(group);
  }
}

/** Ends what the child has left behind: asked first, killed after a while. */
async function endGroup(group: ChildGroup): Promise<void> {
  if (process.platform === "win32") return;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const deadline = performance.now() + leftoverGraceMs;
    if (!group.signal(signal)) return;
    while (performance.now() < deadline) {
      if (!group.signal(0)) return;
      await delay(20);
    }
  }
}
