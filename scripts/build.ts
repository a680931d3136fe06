/**
 * Builds dist/: the bundles with esbuild, the types with tsc.
 *
 * Owns: what is bundled in and what stays a dependency, and the decision that nothing has to be built. Does not own:
 * type checking of tests and scripts (`npm run check`).
 * Invariant: dist/ is newer than, and made from, the inputs whose digest is stored; any doubt is a full build.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { type BuildOptions, build as bundle, type PluginBuild } from "esbuild";
import { packageExtensions } from "../src/engine/extensions.ts";
import { pgDumpDirectory, pgDumpModule } from "./pg-dump-module.ts";

const root = dirname(import.meta.dirname);
const dist = join(root, "dist");

/** The digest of the inputs of the last complete build; `npm ci` removes it. */
const stamp = join(root, "node_modules", ".cache", "pglite-devdb-build");

/** Files and directories that the result depends on. */
const inputs = [
  "src",
  "scripts/build.ts",
  "scripts/pg-dump-module.ts",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "patches",
  "node_modules/.package-lock.json",
  "node_modules/@electric-sql/pglite-socket/package.json",
  "node_modules/@electric-sql/pglite-socket/src",
  "node_modules/@electric-sql/pglite-socket/dist",
];

/** The bundles by their name in dist/. One that has no source yet is left out. */
const entries = {
  cli: "src/cli/main.ts",
  index: "src/index.ts",
  explore: "src/explore/index.ts",
  testing: "src/testing/index.ts",
  vitest: "src/testing/vitest.ts",
  "vitest-setup": "src/testing/vitest-setup.ts",
  "vitest-worker": "src/testing/vitest-worker.ts",
  "node-test": "src/testing/node-test.ts",
  "node-test-worker": "src/testing/node-test-worker.ts",
  jest: "src/testing/jest.ts",
  "jest-setup": "src/testing/jest-setup.ts",
  playwright: "src/testing/playwright.ts",
  "playwright-setup": "src/testing/playwright-setup.ts",
  "engine-thread": "src/thread/main.ts",
  watchdog: "src/thread/watchdog.ts",
  "initdb-thread": "src/cluster/initdb-thread.ts",
  "rewrite-thread": "src/sessions/rewrite-thread.ts",
  "separate-process": "src/system/separate-process.ts",
  "dump-thread": "src/dev-db/dump-thread.ts",
};

/** The modules that jest loads as CommonJS: in dist/ as NAME.cjs. */
const commonJsEntries = { jest: entries.jest, "jest-worker": "src/testing/jest-worker.ts" };

/** Dependencies of the published package; everything else is bundled in. */
export const external = [
  "@electric-sql/pglite",
  "@mongodb-js/saslprep",
  "commander",
  "vitest",
  "@playwright/test",
  ...Object.values(packageExtensions).map((install) => install.replace(/(?!^)@.*$/, "")),
];

/** `jest.ts` is there as an ES module and as CommonJS. */
const jestTypes = `type Jest = typeof import("./jest.js", { with: { "resolution-mode": "import" } });
export declare const devDb: Jest["devDb"];
export declare const useDatabase: Jest["useDatabase"];
export type TestDatabase = import("./jest.js", { with: { "resolution-mode": "import" } }).TestDatabase;
export type UseDatabaseOptions = import("./jest.js", { with: { "resolution-mode": "import" } }).UseDatabaseOptions;
`;

/** Builds dist/ unless it is up to date. Throws if a bundle or the types cannot be made. */
export async function build(): Promise<void> {
  const digest = digestInputs();
  if (readStamp() === digest && Object.keys(entries).every((name) => existsSync(join(dist, `${name}.js`)))) return;
  rmSync(stamp, { force: true });
  await buildBundles();
  buildTypes();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}

async function buildBundles(): Promise<void> {
  const common: BuildOptions = {
    absWorkingDir: root,
    outdir: "dist",
    bundle: true,
    platform: "node",
    target: "node20",
    legalComments: "none",
    logLevel: "warning",
    // Emscripten has it in what is around pg_dump.
    logOverride: { "direct-eval": "silent" },
    external,
  };
  const split = { splitting: true, chunkNames: "chunk-[hash]", format: "esm", metafile: true } as const;
  const asFile = {
    name: "the SDK",
    setup: (build: PluginBuild) => build.onResolve({ filter: /^\.\/sdk\.ts$/ }, mcpSdk),
  };
  const { metafile } = await bundle({ ...common, ...split, entryPoints: entries, plugins: [asFile, pgDumpModule] });
  await bundle({
    ...common,
    entryPoints: commonJsEntries,
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    define: { "import.meta.dirname": "__dirname" },
  });
  chmodSync(join(dist, "cli.js"), 0o755);
  // Where its JavaScript, bundled, looks for it.
  copyFileSync(join(pgDumpDirectory, "pg_dump.wasm"), join(dist, "pg_dump.wasm"));
  copyFileSync(join(root, "src", "cluster", "icu76.tar.gz"), join(dist, "icu76.tar.gz"));
  await buildTracePage();
  await buildMcpSdk(common);
  const made = new Set(["mcp-sdk.js", ...Object.keys(metafile.outputs).map((path) => basename(path))]);
  for (const name of readdirSync(dist)) {
    if (/\.js(\.map)?$/.test(name) && !made.has(name)) rmSync(join(dist, name));
  }
}

const mcpSdk = () => ({ path: "./mcp-sdk.js", external: true });

/** The SDK of `pglite-devdb mcp`: most of it is other packages', so it is small and has no map; with their licences. */
async function buildMcpSdk(common: BuildOptions): Promise<void> {
  const entryPoints = { "mcp-sdk": "src/cli/mcp/sdk.ts" };
  const small = { minify: true, format: "esm", metafile: true } as const;
  const { metafile } = await bundle({ ...common, ...small, entryPoints });
  const packages = Object.keys(metafile.inputs).flatMap(
    (path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [],
  );
  const licences = [...new Set(packages)].sort().map((path) => {
    const { name, version } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
    return `${name} ${version}\n\n${readFileSync(join(root, path, "LICENSE"), "utf8").trim()}\n`;
  });
  writeFileSync(join(dist, "mcp-sdk.licenses.txt"), licences.join("\n\n"));
}

/** The page of `trace show --html`, but for the trace: one file, whose policy knows its script and its style. */
async function buildTracePage(): Promise<void> {
  const source = join(root, "src", "trace", "page", "browser");
  const options: BuildOptions = { absWorkingDir: root, bundle: true, minify: true, write: false, logLevel: "warning" };
  const text = async (entry: string): Promise<string> => {
    const { outputFiles } = await bundle({ ...options, entryPoints: [join(source, entry)], target: "es2022" });
    return outputFiles![0]!.text.trim();
  };
  const parts = { script: await text("main.ts"), style: await text("page.css") };
  if (/<\/(?:script|style)/i.test(parts.script + parts.style)) throw new Error("the page's script would end early");
  let page = readFileSync(join(source, "page.html"), "utf8");
  for (const [name, content] of Object.entries(parts)) {
    const hash = `'sha256-${createHash("sha256").update(content).digest("base64")}'`;
    page = page
      .replace(`<!--${name} hash-->`, () => hash)
      .replace(`<!--${name}-->`, () => `<${name}>${content}</${name}>`);
  }
  writeFileSync(join(dist, "trace-page.html"), page);
}

function buildTypes(): void {
  const types = join(dist, "types");
  rmSync(types, { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
  if (status !== 0) throw new Error(`tsc -p tsconfig.build.json ended with ${status}`);
  writeFileSync(join(types, "testing", "jest.d.cts"), jestTypes);
}

/** Names, sizes and times of change of all inputs, and of the directories, so that a removed file counts too. */
function digestInputs(): string {
  const hash = createHash("sha256").update(process.version);
  const add = (path: string) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return;
    hash.update(`${relative(root, path)} ${stat.isDirectory() ? "" : `${stat.size} ${stat.mtimeMs}`}\n`);
    if (stat.isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
  };
  for (const input of inputs) add(join(root, input));
  return hash.digest("hex");
}

function readStamp(): string | undefined {
  return existsSync(stamp) ? readFileSync(stamp, "utf8") : undefined;
}

if (import.meta.main) await build();
