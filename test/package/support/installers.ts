/**
 * The package managers, and how each of them adds a package and runs its program.
 *
 * Owns: their commands, and what they need in the environment. Does not own: the programs themselves (`npm-packages.ts`).
 * Invariant: none of them sees the caches, the settings or the projects of who runs the tests.
 */
import { delimiter, join } from "node:path";
import type { NpmPackage } from "../../clients/support/npm-packages.ts";

/** A package manager other than npm. */
interface Installer {
  readonly package: NpmPackage;
  /** Its program in the package. */
  readonly program: string;
  /** Adds development dependencies. */
  readonly add: string;
  /** What stands before a program of a dependency. */
  readonly exec: string;
}

/** All that are tested. */
export const installers: readonly Installer[] = [
  { package: "pnpm", program: "bin/pnpm.mjs", add: "add -D", exec: "exec" },
  // With Plug'n'Play, its default: what a package does not declare it cannot import.
  { package: "Yarn", program: "bin/yarn.js", add: "add -D", exec: "run" },
  { package: "Bun", program: "bin/bun", add: "add -d", exec: "x" },
];

/** The environment of a project: `home` is empty, packages come from `registry`, `node` is the directory of its Node. */
export function environmentOf(home: string, registry: string, node: string): Record<string, string> {
  const { PATH = "", XDG_CACHE_HOME, HOME = home } = process.env;
  return {
    PATH: `${node}${delimiter}${PATH}`,
    HOME: home,
    // Of the server, whose first start on a machine is tested elsewhere.
    XDG_CACHE_HOME: XDG_CACHE_HOME ?? join(HOME, ".cache"),
    XDG_DATA_HOME: join(home, "data"),
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_STATE_HOME: join(home, "state"),
    DEV_DB_PORT: "0",
    FORCE_COLOR: "0",
    NODE_OPTIONS: "",
    npm_config_registry: registry,
    npm_config_cache: join(home, "npm"),
    npm_config_ignore_scripts: "true",
    pnpm_config_registry: registry,
    pnpm_config_cache_dir: join(home, "pnpm"),
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_UNSAFE_HTTP_WHITELIST: "127.0.0.1",
    YARN_GLOBAL_FOLDER: join(home, "yarn"),
    YARN_ENABLE_TELEMETRY: "0",
    YARN_ENABLE_SCRIPTS: "0",
    // In CI Yarn would take a new lockfile for a mistake.
    YARN_ENABLE_IMMUTABLE_INSTALLS: "0",
    BUN_INSTALL_CACHE_DIR: join(home, "bun"),
  };
}
