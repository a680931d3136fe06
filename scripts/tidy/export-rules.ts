/**
 * Rules about what a file exports.
 *
 * Owns: unused and undocumented exports. Does not own: default exports (Biome), who may import whom.
 * Invariant: an export that only the public interface passes on is in use; one that only its own file uses is not.
 */
import type { Finding } from "./finding.ts";
import type { Module } from "./module.ts";

/** What they export is used from outside of the tree. */
const entries: ReadonlySet<string> = new Set([
  "src/index.ts",
  "src/cli/main.ts",
  "src/explore/index.ts",
  "src/testing/vitest.ts",
  "src/testing/vitest-setup.ts",
  "src/testing/node-test.ts",
  "src/testing/jest.ts",
  "src/testing/jest-setup.ts",
  "src/testing/playwright.ts",
  "src/testing/playwright-setup.ts",
  "src/testing/playwright-test.d.ts",
]);

/** Checks the exports of a tree: `dead-export` and `docstring`. */
export function checkExports(modules: readonly Module[]): Finding[] {
  return [
    ...checkDead(modules),
    ...modules.filter(({ area }) => area === "src" || area === "scripts").flatMap(checkDocstrings),
  ];
}

function checkDead(modules: readonly Module[]): Finding[] {
  const used = usedExports(modules);
  return modules
    .filter(({ area }) => area === "src" || area === "scripts")
    .flatMap(({ path, exports }) =>
      exports
        .filter(({ name }) => !used.has(keyOf(path, name)))
        .map(({ name, line }) => {
          const what = `\`${name}\` is exported and imported nowhere`;
          return { path, line, rule: "dead-export", what, instead: "drop `export`, or what is exported" };
        }),
    );
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

function keyOf(path: string, name: string): string {
  return `${path} ${name}`;
}

/** The keys of all exports that a file of the tree, or the world outside, takes. */
function usedExports(modules: readonly Module[]): Set<string> {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const used = new Set<string>();
  const use = (path: string, name: string) => {
    if (used.has(keyOf(path, name))) return;
    used.add(keyOf(path, name));
    for (const { names, target } of byPath.get(path)?.imports ?? []) {
      if (names === "export *" && target) use(target, name);
    }
  };
  const useEverything = (path: string, seen = new Set<string>()) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { name } of byPath.get(path)?.exports ?? []) use(path, name);
    for (const { names, target } of byPath.get(path)?.imports ?? []) {
      if (names === "export *" && target) useEverything(target, seen);
    }
  };
  for (const path of entries) useEverything(path);
  for (const { target, names } of modules.flatMap(({ imports }) => imports)) {
    if (!target || names === "export *") continue;
    if (names === "everything") useEverything(target);
    else for (const name of names) use(target, name);
  }
  return used;
}
