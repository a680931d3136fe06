/**
 * Lets Node import the patched library, which is TypeScript below node_modules and imports without extensions.
 *
 * Owns: that library's files. Does not own: our own TypeScript, which Node runs as it is.
 */
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

const library = "/node_modules/@electric-sql/pglite-socket/src/";

registerHooks({
  resolve(specifier, context, next) {
    const isInside = context.parentURL?.includes(library) && specifier.startsWith(".") && !specifier.endsWith(".ts");
    return next(isInside ? `${specifier}.ts` : specifier, context);
  },
  load(url, context, next) {
    if (!url.includes(library) || !url.endsWith(".ts")) return next(url, context);
    return {
      format: "module",
      source: stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8")),
      shortCircuit: true,
    };
  },
});
