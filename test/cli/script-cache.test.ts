/** What Node keeps of the program's own JavaScript in the user's cache: from the second start on, and not where somebody objects. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { install } from "../support/installation.ts";

const hasScriptCache = "flushCompileCache" in (await import("node:module"));

/** The files of a directory by name, with when they were written; none if there is no such directory. */
function filesIn(directory: string): Map<string, number> {
  if (!existsSync(directory)) return new Map();
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
  return new Map(paths.filter((path) => statSync(path).isFile()).map((path) => [path, statSync(path).mtimeMs]));
}

/** The modules that came from there, by what Node says of it. */
const taken = (text: string) =>
  [...text.matchAll(/V8 code cache for \S+ (\S+) was accepted/g)].map(([, path]) => path!);

test.runIf(hasScriptCache)(
  "a start keeps the scripts of the command and of the engine's thread, the next one takes them; damaged ones are made again",
  async () => {
    const { cli, environment, cache } = install({ isRewritten: true });
    mkdirSync(cache, { recursive: true });
    const scripts = join(cache, "scripts");
    const run = async (...args: readonly string[]) => {
      const end = await runCli(args, { cli, environment: { ...environment, NODE_DEBUG_NATIVE: "COMPILE_CACHE" } });
      expect(end.code).toBe(0);
      return end;
    };
    const start = async () => {
      const shown = `console.log(JSON.stringify(process.env.NODE_COMPILE_CACHE ?? null), require("node:module").getCompileCacheDir() ?? null)`;
      const options = ["--port", "0", "--migrations", "none", "--sessions", "shared"];
      const { stdout, stderr } = await run("run", ...options, "--", process.execPath, "-e", shown);
      // Nothing of it is for the command.
      expect(stdout).toMatch(/^null null$/m);
      return taken(stderr + stdout);
    };
    const help = async () => {
      const { stdout, stderr } = await run("--help");
      return taken(stderr + stdout).length;
    };
    expect(await start()).toEqual([]);
    const kept = filesIn(scripts);
    const found = await start();
    // The one is the command's, the other one the engine's.
    for (const part of ["/commander/", "/pglite/dist/index.js"]) {
      expect(found.some((path) => path.includes(part))).toBe(true);
    }
    expect([...filesIn(scripts).keys()].sort()).toEqual([...kept.keys()].sort());

    for (const [n, path] of [...kept.keys()].entries()) {
      if (n % 3 === 0) truncateSync(path, 10);
      else writeFileSync(path, "x".repeat(n % 3 === 1 ? 1 : 100_000));
    }
    expect(await help()).toBe(0);
    expect(await help()).toBeGreaterThan(10);
    rmSync(scripts, { recursive: true });
    writeFileSync(scripts, "what cannot be a directory");
    expect(await help()).toBe(0);
  },
);

test.runIf(hasScriptCache)(
  "nothing is kept with --no-cache, DEV_DB_CACHE=0, package.json or Node's own variables, nor before there is a cache",
  async () => {
    const home = temporaryDirectory();
    const cache = join(home, "pglite-devdb");
    const cwd = temporaryDirectory();
    const help = async (args: readonly string[], more: Record<string, string> = {}, inCwd = temporaryDirectory()) => {
      const environment = { XDG_CACHE_HOME: home, ...more };
      expect((await runCli([...args, "--help"], { environment, cwd: inCwd })).code).toBe(0);
      return filesIn(home).size;
    };
    expect(await help([])).toBe(0);
    expect(existsSync(cache)).toBe(false);
    mkdirSync(cache, { mode: 0o700 });
    expect(await help(["run", "--no-cache"])).toBe(0);
    expect(await help([], { DEV_DB_CACHE: "0" })).toBe(0);
    expect(await help([], { DEV_DB_CACHE: "nonsense" })).toBe(0);
    expect(await help([], { NODE_DISABLE_COMPILE_CACHE: "1" })).toBe(0);
    writeFileSync(join(cwd, "package.json"), JSON.stringify({ "pglite-devdb": { cache: false } }));
    expect(await help([], {}, cwd)).toBe(0);
    const elsewhere = temporaryDirectory();
    expect(await help([], { NODE_COMPILE_CACHE: elsewhere })).toBe(0);
    expect(filesIn(elsewhere).size).toBeGreaterThan(0);
    expect(await help([], { DEV_DB_CACHE: "1" }, cwd)).toBeGreaterThan(0);
  },
);
