/**
 * What has to be spawned so that a command gets exactly its arguments, on every system.
 *
 * Owns: finding `npm.cmd` and its like on Windows, and the quoting for cmd.exe. Does not own: the process.
 * Invariant: outside Windows the arguments are passed as they are and no shell is involved.
 *
 * Windows starts .cmd and .bat files only through cmd.exe, and Node refuses to do so by itself (CVE-2024-27980).
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve, win32 } from "node:path";

/** What `child_process.spawn` takes. */
interface SpawnTarget {
  file: string;
  args: readonly string[];
  /** Windows: the arguments are quoted already. */
  verbatim: boolean;
}

/** What is looked at; the defaults are this process. */
interface ResolveContext {
  platform: NodeJS.Platform;
  environment: Readonly<Record<string, string | undefined>>;
  cwd: string;
  isFile?: (path: string) => boolean;
}

/** The target for a command and its arguments. */
export function resolveCommand(argv: readonly string[], context: ResolveContext): SpawnTarget {
  const [command = "", ...args] = argv;
  if (context.platform !== "win32") return { file: command, args, verbatim: false };
  const file = findOnWindows(command, context);
  if (!file || !/\.(cmd|bat)$/i.test(file)) return { file: file ?? command, args, verbatim: false };
  // A shim of npm hands its arguments to cmd.exe a second time.
  const times = /node_modules[\\/]\.bin[\\/][^\\/]+\.cmd$/i.test(file) ? 2 : 1;
  const line = [escapeMeta(win32.normalize(file)), ...args.map((arg) => quoteForCmd(arg, times))].join(" ");
  const shell = variable(context.environment, "COMSPEC") ?? "cmd.exe";
  return { file: shell, args: ["/d", "/s", "/c", `"${line}"`], verbatim: true };
}

/**
 * Why a command cannot be started, as far as its file tells: the codes are those of execvp(3). Outside Windows the answer is what
 * spawning it would say; there it is only whether there is such a file.
 */
export function whyNotStartable(command: string, context: ResolveContext): "ENOENT" | "EACCES" | undefined {
  const { environment, cwd, platform } = context;
  if (platform === "win32") return findOnWindows(command, context) ? undefined : "ENOENT";
  const directories = (environment.PATH ?? "/usr/bin:/bin").split(delimiter);
  const paths = command.includes("/") ? [command] : directories.map((directory) => join(directory, command));
  const files = paths.map((path) => resolve(cwd, path)).filter((path) => statSync(path, { throwIfNoEntry: false }));
  if (files.length === 0) return "ENOENT";
  return files.some(isExecutable) ? undefined : "EACCES";
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function findOnWindows(command: string, context: ResolveContext): string | undefined {
  const { environment, cwd, isFile = isFileOnDisk } = context;
  const extensions = (variable(environment, "PATHEXT") ?? ".COM;.EXE;.BAT;.CMD").split(";").filter(Boolean);
  const names = extensions.some((extension) => command.toLowerCase().endsWith(extension.toLowerCase()))
    ? [command]
    : extensions.map((extension) => command + extension.toLowerCase());
  const directories = /[\\/]/.test(command) ? [cwd] : (variable(environment, "PATH") ?? "").split(";").filter(Boolean);
  return directories
    .flatMap((directory) => names.map((name) => win32.resolve(cwd, directory, name)))
    .find((path) => isFile(path));
}

function isFileOnDisk(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Names of environment variables have no case on Windows. */
function variable(environment: ResolveContext["environment"], name: string): string | undefined {
  const key = Object.keys(environment).find((each) => each.toUpperCase() === name);
  return key === undefined ? undefined : environment[key];
}

/** Backslashes before a quote are doubled for the C runtime, then cmd.exe's own characters are escaped. */
function quoteForCmd(arg: string, times: number): string {
  let quoted = `"${arg.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\*)$/, "$1$1")}"`;
  for (let i = 0; i < times; i++) quoted = escapeMeta(quoted);
  return quoted;
}

function escapeMeta(text: string): string {
  return text.replace(/[()\][%!^"`<>&|;, *?]/g, "^$&");
}
