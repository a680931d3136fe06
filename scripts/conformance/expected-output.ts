/**
 * What a specification is expected to print.
 *
 * Owns: the file and its variants (`foo.out`, `foo_1.out` …), cut into permutations. Does not own: the comparison.
 * Invariant: the head of an output and its permutations, joined, are the output.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One output, cut. */
export interface Output {
  /** What comes before the first permutation. */
  readonly head: string;
  readonly permutations: readonly string[];
}

/** All expected outputs of a specification, the main one first. */
export function readExpectedOutputs(directory: string, name: string): Output[] {
  const folder = join(directory, "expected");
  const variants = existsSync(folder) ? readdirSync(folder) : [];
  return variants
    .filter(
      (file) =>
        file === `${name}.out` || (file.startsWith(`${name}_`) && /^\d\.out$/.test(file.slice(name.length + 1))),
    )
    .sort()
    .map((file) => cutOutput(readFileSync(join(folder, file), "utf8")));
}

/** Cuts an output where its permutations begin. */
export function cutOutput(text: string): Output {
  const [head = "", ...permutations] = text.split(/(?=^\nstarting permutation:)/m);
  return { head, permutations };
}
