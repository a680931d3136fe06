/**
 * Rules about who imports whom.
 *
 * Owns: the ranks of src, and the packages that only one folder may import. Does not own: cycles (Biome),
 * unused exports.
 * Invariant: a type import counts like any other, because it ties two files together in a reader's mind all the same.
 */
import type { Finding } from "./finding.ts";
import type { Import, Module } from "./module.ts";

/** From the top down; an import goes to a lower row, or stays in its own folder. */
const ranks: readonly (readonly string[])[] = [
  ["cli", "testing"],
  ["index", "explore"],
  ["dev-db", "thread"],
  ["transport", "migrate", "trace"],
  ["engine", "work"],
  ["sessions"],
  ["cluster"],
  ["system"],
  ["wire", "sql"],
  ["options"],
  ["errors", "limits"],
];

/** The package's root offers these test tools as well; they import nothing above `errors`. */
const allowedUpwards: ReadonlySet<string> = new Set(["src/index.ts → src/testing/index.ts"]);

const restrictedPackages = [
  { name: "@electric-sql/pglite-socket", folders: ["src/transport/"], instead: "go through src/transport/" },
  { name: "pglite-socket-stock", folders: ["src/trace/"], instead: "only `repro` compares with the stock library" },
  {
    name: "@electric-sql/pglite",
    folders: ["src/engine/", "src/sessions/", "src/cluster/"],
    instead: "above src/engine/ go through its Engine interface; below src/cluster/ nothing knows of PGlite",
  },
];

/** Checks the imports of a tree: `rank` and `banned-import`. */
export function checkImports(modules: readonly Module[]): Finding[] {
  const inSrc = modules.filter(({ area }) => area === "src");
  return [
    ...inSrc.filter(({ path }) => rankOf(path) === -1).map(unranked),
    ...inSrc.flatMap((module) => module.imports.flatMap((reference) => checkRank(module, reference))),
    ...inSrc.flatMap((module) => module.imports.flatMap((reference) => checkPackage(module, reference))),
  ];
}

/** The name in the ranks: the folder below src, or the file itself; `src/options.ts` and `src/options/` are one. */
function unitOf(path: string): string {
  return path.split("/")[1]!.replace(/\.[cm]?[jt]s$/, "");
}

function rankOf(path: string): number {
  return ranks.findIndex((row) => row.includes(unitOf(path)));
}

function unranked({ path }: Module): Finding {
  const what = `\`${unitOf(path)}\` has no rank`;
  return {
    path,
    line: 1,
    rule: "rank",
    what,
    instead: "move the file to a folder with a rank, or give this one a rank",
  };
}

function checkRank({ path }: Module, { target, line }: Import): Finding[] {
  if (!target || allowedUpwards.has(`${path} → ${target}`)) return [];
  if (!target.startsWith("src/")) {
    if (!/^(?:scripts|test)\//.test(target)) return [];
    const instead = "move what is shared to src/ and import it from there";
    return [{ path, line, rule: "rank", what: `src imports ${target}, which is not shipped`, instead }];
  }
  const [from, to] = [rankOf(path), rankOf(target)];
  if (unitOf(path) === unitOf(target) || from < to || from === -1 || to === -1) return [];
  const relation = from === to ? "a neighbour in its rank" : "which ranks above it";
  const below = ranks[Math.max(from, to) + 1]?.join(" or ");
  const instead = below
    ? `move what is shared down, to ${below} or below`
    : "merge the two, or split off what is shared";
  return [{ path, line, rule: "rank", what: `${unitOf(path)} imports ${target}, ${relation}`, instead }];
}

function checkPackage({ path }: Module, { specifier, line }: Import): Finding[] {
  return restrictedPackages
    .filter(({ name }) => specifier === name || specifier.startsWith(`${name}/`))
    .filter(({ folders }) => !folders.some((folder) => path.startsWith(folder)))
    .map(({ name, folders, instead }) => {
      const what = `only ${folders.join(", ")} ${folders.length === 1 ? "imports" : "import"} ${name}`;
      return { path, line, rule: "banned-import", what, instead };
    });
}
