/**
 * The module `pg_dump.js` for the bundles: the JavaScript around pg_dump's WebAssembly, from @electric-sql/pglite-tools.
 *
 * The package exports only a function that keeps the whole dump in memory and takes lines out of it. Its source map has the module that
 * the function calls.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Plugin } from "esbuild";

/** The directory of the package's files, pg_dump.wasm among them. */
export const pgDumpDirectory = dirname(createRequire(import.meta.url).resolve("@electric-sql/pglite-tools/pg_dump"));
const inMap = "../release/pg_dump.js";

/** See the head of the file. */
export const pgDumpModule: Plugin = {
  name: "pg_dump",
  setup(build) {
    build.onResolve({ filter: /^pg_dump\.js$/ }, () => ({ path: inMap, namespace: "pg_dump" }));
    build.onLoad({ filter: /.*/, namespace: "pg_dump" }, () => ({ contents: findSource(), loader: "js" }));
  },
};

function findSource(): string {
  for (const name of readdirSync(pgDumpDirectory).filter((name) => /^chunk-.*\.js\.map$/.test(name))) {
    const map = JSON.parse(readFileSync(join(pgDumpDirectory, name), "utf8"));
    const source = map.sourcesContent?.[map.sources.indexOf(inMap)];
    if (source) return `${source}\nexport { Module as createPgDump };`;
  }
  throw new Error(`@electric-sql/pglite-tools has no source map with ${inMap}`);
}
