/**
 * The built program beside another PGlite than the one in node_modules.
 *
 * Owns: a copy of dist/ in a temporary directory, the packages that it finds there, and a cache of its own, in which there is
 * an empty cluster of the product's PGlite where the user's cache has one. Does not own: dist/ (`global-setup.ts`), the
 * processes (`cli-process.ts`). Invariant: it goes with the test.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "../../src/system/user-cache.ts";
import { temporaryDirectory } from "./cli-process.ts";
import { currentPGlite } from "./pglite-versions.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What differs from the program as it is. */
export interface InstallationOptions {
  /** The directory of a PGlite to take instead. */
  readonly pglite?: string;
  /** A `pglite.wasm` to take instead of the product's. */
  readonly binary?: Uint8Array;
  /** Whether it finds the rewritten module in its cache, as after a first start; not without the user's own cache having it. */
  readonly isRewritten?: boolean;
  /** Isolated sessions are the default. */
  readonly isolatedByDefault?: boolean;
}

/** Where it is. */
export interface Installation {
  /** Its cli.js. */
  readonly cli: string;
  /** The variables with which it uses a cache of its own. */
  readonly environment: Record<string, string>;
  /** The directory of that cache. */
  readonly cache: string;
}

/** Makes one. */
export function install({ pglite, binary, isRewritten, isolatedByDefault }: InstallationOptions = {}): Installation {
  const directory = temporaryDirectory();
  const dist = join(directory, "dist");
  cpSync(join(root, "dist"), dist, { recursive: true, filter: (path) => !/\.map$|[\\/]types$/.test(path) });
  writeFileSync(join(directory, "package.json"), readFileSync(join(root, "package.json")));
  if (isolatedByDefault) makeIsolatedTheDefault(dist);
  const packages = join(directory, "node_modules");
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const target = join(packages, name);
    mkdirSync(dirname(target), { recursive: true });
    if (name !== "@electric-sql/pglite") symlinkSync(join(root, "node_modules", name), target);
    else if (binary) copyPGlite(target, binary);
    else symlinkSync(pglite ?? currentPGlite.directory, target);
  }
  const cache = join(directory, "cache");
  copyCache(
    join(cache, "pglite-devdb"),
    isRewritten ? /^(cluster|sessions|library)-\d+-[0-9a-z-]+$/ : /^cluster-\d+-[0-9a-z-]+$/,
  );
  return { cli: join(dist, "cli.js"), environment: { XDG_CACHE_HOME: cache }, cache: join(cache, "pglite-devdb") };
}

/** Tests of the first start have an empty cache of their own. */
function copyCache(cache: string, names: RegExp): void {
  const ofUser = cacheDirectory();
  if (ofUser === undefined || !existsSync(ofUser)) return;
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(ofUser)) {
    if (names.test(name)) cpSync(join(ofUser, name), join(cache, name));
  }
}

/** Modules are found by where they really are: a link to the JavaScript would lead to the binary beside it. */
function copyPGlite(target: string, binary: Uint8Array): void {
  const unused = /\.(map|cts|ts|tar\.gz)$/;
  cpSync(currentPGlite.directory, target, { recursive: true, filter: (path) => !unused.test(path) });
  writeFileSync(join(target, "dist", "pglite.wasm"), binary);
}

function makeIsolatedTheDefault(dist: string): void {
  const option = /(environment: "DEV_DB_SESSIONS",\s+default: )"\w+"/;
  const files = readdirSync(dist)
    .map((name) => join(dist, name))
    .filter((path) => path.endsWith(".js"));
  const found = files.filter((path) => option.test(readFileSync(path, "utf8")));
  if (found.length !== 1) throw new Error(`the default of --sessions is in ${found.length} files of dist/, not in one`);
  writeFileSync(found[0]!, readFileSync(found[0]!, "utf8").replace(option, '$1"isolated"'));
}
