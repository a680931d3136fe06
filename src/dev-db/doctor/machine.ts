/**
 * What a person wants to know of the machine and the project before a start.
 *
 * Owns: the checks, each with what to do. Does not own: a start itself, which says what is wrong in its own words.
 * Invariant: nothing is made or changed.
 */
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { clusterName, describeOtherVersion } from "../../engine/data-directory/data-directory.ts";
import { contribExtensions, findExtensions } from "../../engine/extensions.ts";
import type { MigrationSource } from "../../migrate/index.ts";
import { nameOf, type ResolvedOptions } from "../../options.ts";
import { isKnownVersion } from "../../sessions/module/known-binaries.ts";
import { canPark } from "../../sessions/wasm/web-assembly.ts";
import { describeUnfitRuntime, runtime } from "../../system/runtime.ts";
import { cacheDirectory } from "../../system/user-cache.ts";
import { findPortOwner } from "../port-owner.ts";
import { findPrograms } from "../servers/programs.ts";
import type { Finding } from "./finding.ts";
import type { NeededExtension } from "./needs.ts";

/** Findings about where the program runs. */
export async function examineMachine(options: ResolvedOptions, cwd: string): Promise<Finding[]> {
  return [node(), pgliteVersion(), cache(), await port(options), ...directory(options, cwd), ...native(options, cwd)];
}

/** Findings about the project's migrations. */
export function examineMigrations(
  sources: readonly MigrationSource[],
  needs: readonly NeededExtension[],
  { extensions }: ResolvedOptions,
  cwd: string,
): Finding[] {
  if (sources.length === 0)
    return [
      {
        weight: "differs",
        text: "no migrations were found: --migrations DIR names them, --setup CMD a tool that migrates by itself",
      },
    ];
  const found = sources.map(({ kind, directory }): Finding => {
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
    const count = files.filter((name) => name.endsWith(".sql")).length;
    return { weight: "ok", text: `migrations (${kind}): ${directory}, ${count} files of SQL` };
  });
  const here = new Set<string>([...contribExtensions, ...extensions, "plpgsql"].map(plainName));
  const missing = needs.filter(({ name }) => !here.has(plainName(name)));
  return [
    ...found,
    ...missing.map(({ name, file }): Finding => {
      const text = `extension ${name} (${file}) ${adviceFor(name, cwd)}`;
      return { weight: "stop", text };
    }),
  ];
}

function plainName(name: string): string {
  return name === "pgvector" ? "vector" : name.replaceAll("-", "_");
}

function adviceFor(name: string, cwd: string): string {
  try {
    findExtensions([name], cwd, "-e");
    return `is not loaded: start with -e ${name}`;
  } catch (error) {
    return `cannot be had: ${(error as Error).message.replace(/; the extensions are .*/, "")}; or --engine URL of a server that has it`;
  }
}

function node(): Finding {
  const unfit = describeUnfitRuntime();
  if (unfit !== undefined) return { weight: "stop", text: unfit };
  if (canPark()) return { weight: "ok", text: `${runtime}: each connection has its own PostgreSQL session` };
  return {
    weight: "differs",
    text: `${runtime}: all connections share one PostgreSQL session; install Node 24 to give each connection its own`,
  };
}

function pgliteVersion(): Finding {
  const require = createRequire(import.meta.url);
  const wanted: string = require("pglite-devdb/package.json").dependencies["@electric-sql/pglite"];
  try {
    const root = dirname(dirname(require.resolve("@electric-sql/pglite")));
    const { version } = require(join(root, "package.json")) as { version: string };
    if (isKnownVersion(version)) return { weight: "ok", text: `PGlite ${version}, a version that this was made for` };
    return {
      weight: "differs",
      text: `PGlite ${version}, and this was made for ${wanted.replace(" ", " and ")}: npm install, without an override of its version`,
    };
  } catch (error) {
    return { weight: "stop", text: `PGlite cannot be found (${(error as Error).message.split("\n")[0]}): npm install` };
  }
}

function cache(): Finding {
  const path = cacheDirectory();
  if (path === undefined)
    return {
      weight: "differs",
      text: "the cache is not used: every start takes as long as a machine's first one; see to HOME or XDG_CACHE_HOME and its rights",
    };
  const there = nearest(path);
  try {
    accessSync(there, constants.W_OK);
  } catch {
    return {
      weight: "differs",
      text: `the cache ${path} cannot be written: every start takes as long as a machine's first one; set XDG_CACHE_HOME to a directory of yours`,
    };
  }
  if (there !== path)
    return {
      weight: "ok",
      text: `cache: ${path}, empty yet: the first start takes some seconds longer. In CI, keep it`,
    };
  const bytes = readdirSync(path).reduce(
    (sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  return { weight: "ok", text: `cache: ${path}, ${Math.round(bytes / 1024 / 1024)} MB` };
}

function nearest(path: string): string {
  return existsSync(path) ? path : nearest(dirname(path));
}

async function port(options: ResolvedOptions): Promise<Finding> {
  const name = nameOf(options, "port");
  if (options.port === 0) return { weight: "ok", text: `${name} 0: any free port` };
  if (!(await isListening(options.port))) return { weight: "ok", text: `port ${options.port} is free` };
  const owner = findPortOwner(options.port);
  const by = owner ? ` by process ${owner.pid} (${owner.command})` : "";
  return options.givenAs.has("port")
    ? {
        weight: "stop",
        text: `port ${options.port} is taken${by}: end that process, or take any free one with --port 0`,
      }
    : { weight: "differs", text: `port ${options.port} is taken${by}: a start takes a free one instead, and says so` };
}

function isListening(at: number): Promise<boolean> {
  return new Promise((resolve_) => {
    const socket = connect({ host: "127.0.0.1", port: at, timeout: 1_000 });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve_(answer);
    };
    socket
      .once("connect", () => finish(true))
      .once("timeout", () => finish(false))
      .on("error", () => finish(false));
  });
}

function directory({ db, engine }: ResolvedOptions, cwd: string): Finding[] {
  if (db === "memory://") return [];
  const path = resolve(cwd, db);
  const isNative = existsSync(join(path, clusterName));
  if (!isNative && !existsSync(join(path, "PG_VERSION")))
    return [{ weight: "ok", text: `data directory: ${path} has no data yet` }];
  const of = isNative ? "postgres" : "pglite";
  const other = isNative ? undefined : describeOtherVersion(path);
  if (other !== undefined) return [{ weight: "stop", text: other }];
  if (of === engine) return [{ weight: "ok", text: `data directory: ${path}` }];
  return [
    {
      weight: "stop",
      text: `${path} is a data directory of the engine ${of}: start with --engine ${of}, or name another directory`,
    },
  ];
}

function native(options: ResolvedOptions, cwd: string): Finding[] {
  const isWanted = options.engine === "postgres";
  try {
    const { root } = findPrograms(cwd, nameOf(options, "engine"));
    return [{ weight: "ok", text: `--engine postgres: ${root}` }];
  } catch (error) {
    return isWanted ? [{ weight: "stop", text: (error as Error).message }] : [];
  }
}
