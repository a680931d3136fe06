/**
 * Small trees for the tests of the tidy script.
 *
 * Owns: checking a tree that is given as texts, with one parser for a file. Does not own: what is expected of it.
 * Invariant: a test sees the findings of the one rule that it is about.
 */
import { afterAll, beforeAll } from "vitest";
import { checkTree } from "../../scripts/tidy/check-tree.ts";
import { TreeParser } from "../../scripts/tidy/parse-modules.ts";

let parser: TreeParser;

/** Registers the hooks of the parser for the file. */
export function useParser(): void {
  beforeAll(() => {
    parser = new TreeParser();
  });
  afterAll(() => parser.close());
}

/** Checks a tree of the given texts. */
export function check(texts: Record<string, string>): ReturnType<typeof checkTree> {
  return checkTree(new Map(Object.entries(texts)), parser);
}

/** Checks a tree of the given texts; each finding of the rule as `path:line`. */
export async function find(rule: string, texts: Record<string, string>): Promise<string[]> {
  return (await findings(rule, texts)).map(({ path, line }) => `${path}:${line}`);
}

/** Checks a tree of the given texts, and returns the findings of one rule. */
export async function findings(rule: string, texts: Record<string, string>) {
  return (await check(texts)).findings.filter((finding) => finding.rule === rule);
}

/** An opening comment as the rules want it, of five lines with its delimiters. */
export const header = "/**\n * What it owns.\n * What it does not.\n * Its invariant.\n */\n";
/** So many lines, all alike. */
export const lines = (count: number, text = "") => `${text}\n`.repeat(count);
