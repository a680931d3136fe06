/**
 * The texts of the project on a disk.
 *
 * Owns: which files belong to the project. Does not own: what is in them.
 * Invariant: works without git, so that an unpacked archive can be checked as well; binary files are left out.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Reads every text file below `root` that .gitignore does not name; paths are relative to `root`, with `/`. */
export function readTree(root: string): Map<string, string> {
  const isIgnored = ignoredNames(readIfThere(join(root, ".gitignore")));
  const tree = new Map<string, string>();
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (isIgnored(entry.name)) continue;
      const path = folder + entry.name;
      if (entry.isDirectory()) visit(`${path}/`);
      else if (entry.isFile()) {
        const text = readFileSync(join(root, path), "utf8");
        if (!text.includes("\0")) tree.set(path, text);
      }
    }
  };
  visit("");
  return tree;
}

/**
 * Returns a test for the names that a .gitignore leaves out: `name`, `name/` and `*.ending`, and git's own folder.
 * Throws for any other form of pattern.
 */
export function ignoredNames(gitignore: string): (name: string) => boolean {
  const patterns = gitignore
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const strange = patterns.find((pattern) => !/^(?:\*\.)?[\w.-]+\/?$/.test(pattern));
  if (strange) throw new Error(`tidy reads no such .gitignore pattern: ${strange}; use \`name/\` or \`*.ending\``);
  const names = new Set([".git", ...patterns.map((pattern) => pattern.replace(/\/$/, ""))]);
  const endings = patterns.filter((pattern) => pattern.startsWith("*")).map((pattern) => pattern.slice(1));
  return (name) => names.has(name) || endings.some((ending) => name.endsWith(ending));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
