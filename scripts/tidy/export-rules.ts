/**
 * Rules about what a file exports.
 *
 * Owns: docstrings of exports. Does not own: exports that nobody imports (knip), default exports (Biome).
 */
import type { Finding } from "./finding.ts";
import type { Module } from "./module.ts";

/** Checks the exports of a tree: `docstring`. */
export function checkExports(modules: readonly Module[]): Finding[] {
  return modules.filter(({ area }) => area === "src" || area === "scripts").flatMap(checkDocstrings);
}

function checkDocstrings({ path, exports }: Module): Finding[] {
  const missing = new Map(
    exports.filter(({ docstring }) => docstring === "missing").map((found) => [found.name, found]),
  );
  return [...missing.values()].map(({ name, line }) => {
    const what = `\`${name}\` has no docstring of its own`;
    return { path, line, rule: "docstring", what, instead: "say its contract in a /** comment */ right above it" };
  });
}
