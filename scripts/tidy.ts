/**
 * The rules of the project that a compiler does not know: `node scripts/tidy.ts [DIR]`.
 *
 * Owns: reading the tree, printing and the exit code. Does not own: the rules (`tidy/`; each file names its own).
 * Prints each finding as `path:line  rule  what  what to do instead` and exits 1; with none, one line with the sizes of
 * the code, and exits 0.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkTree } from "./tidy/check-tree.ts";
import { formatFinding } from "./tidy/finding.ts";
import { TreeParser } from "./tidy/parse-modules.ts";
import { readTree } from "./tidy/read-tree.ts";

const root = process.argv[2] ? resolve(process.argv[2]) : fileURLToPath(new URL("..", import.meta.url));
const parser = new TreeParser();
const { findings, summary } = await checkTree(readTree(root), parser).finally(() => parser.close());
for (const finding of findings) console.log(formatFinding(finding));
if (findings.length > 0) {
  console.error(`tidy: ${findings.length} findings in ${new Set(findings.map(({ path }) => path)).size} files`);
  process.exitCode = 1;
} else {
  console.log(`tidy: ${summary}`);
}
