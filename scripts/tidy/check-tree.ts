/**
 * All rules of the project, on one tree.
 *
 * Owns: which rules there are. Does not own: reading the tree from a disk, or printing.
 * Invariant: the result depends on the given texts alone.
 */
import { checkExports } from "./export-rules.ts";
import { compareFindings, type Finding } from "./finding.ts";
import { checkImports } from "./import-rules.ts";
import type { TreeParser } from "./parse-modules.ts";
import { checkShape } from "./shape-rules.ts";
import { checkComments, checkTexts } from "./text-rules.ts";

/** What `checkTree` found out. */
interface TreeReport {
  /** In the order of paths and lines. */
  readonly findings: readonly Finding[];
  /** The sizes of the code in src, scripts and test. */
  readonly summary: string;
}

/** Checks a tree, given as path → text; paths are relative to its root, with `/`. */
export async function checkTree(tree: ReadonlyMap<string, string>, parser: TreeParser): Promise<TreeReport> {
  const modules = await parser.parse(tree);
  const findings = [
    ...checkImports(modules),
    ...checkExports(modules),
    ...checkShape(modules),
    ...checkComments(modules),
    ...checkTexts(tree),
  ].sort(compareFindings);
  const bySize = modules.filter(({ area }) => area !== "elsewhere").sort((a, b) => a.lineCount - b.lineCount);
  const [median, longest] = [bySize[Math.floor(bySize.length / 2)], bySize.at(-1)];
  const sizes = longest ? `, median ${median?.lineCount} lines, longest ${longest.lineCount} (${longest.path})` : "";
  return { findings, summary: `${bySize.length} files${sizes}` };
}
