/**
 * Rules about the size, the name and the head of a file.
 *
 * Owns: the limits. Does not own: anything about the content below the head.
 * Invariant: a limit is the same for everybody; what exceeds it is split, not excused.
 */
import type { Finding } from "./finding.ts";
import { contentLines, type Module } from "./module.ts";

const maxFileLines = 400;
const maxFunctionLines = 70;
const headerLines = { min: 3, max: 15 };

/** Words that say nothing about what is inside. */
const bannedWords = /^(?:utils?|helpers?|common|managers?)$/;

/** Checks each file: `syntax`, `file-size`, `function-size`, `banned-name` and, outside of tests, `header`. */
export function checkShape(modules: readonly Module[]): Finding[] {
  return modules.flatMap((module) => {
    const { path, area } = module;
    const findings = module.syntaxErrors.slice(0, 1).map(({ line, message }): Finding => {
      return { path, line, rule: "syntax", what: message, instead: "correct it; the other rules need a whole file" };
    });
    if (area === "elsewhere") return findings;
    findings.push(...checkSizes(module), ...checkName(module));
    if (area !== "test") findings.push(...checkHeader(module));
    return findings;
  });
}

function checkSizes({ path, area, lineCount, functions }: Module): Finding[] {
  const findings: Finding[] = [];
  if (lineCount > maxFileLines) {
    const what = `${lineCount} lines, the limit is ${maxFileLines}`;
    findings.push({ path, line: maxFileLines + 1, rule: "file-size", what, instead: "split the file by what it owns" });
  }
  for (const { name, line, lineCount: length, isTestGroup } of functions) {
    if (length <= maxFunctionLines || (area === "test" && isTestGroup)) continue;
    const what = `${name} has ${length} lines, the limit is ${maxFunctionLines}`;
    findings.push({ path, line, rule: "function-size", what, instead: "split off its steps as functions" });
  }
  return findings;
}

function checkName({ path }: Module): Finding[] {
  const word = path.split(/[/.\-_]/).find((part) => bannedWords.test(part.toLowerCase()));
  if (!word) return [];
  const what = `\`${word}\` in a name says nothing`;
  return [{ path, line: 1, rule: "banned-name", what, instead: "name the file after the one thing that it owns" }];
}

function checkHeader({ path, header }: Module): Finding[] {
  const count = header ? contentLines(header).length : 0;
  if (count >= headerLines.min && count <= headerLines.max) return [];
  const what = count === 0 ? "the file does not open with a comment" : `the opening comment has ${count} lines`;
  const instead = `say in ${headerLines.min} to ${headerLines.max} lines what it owns, what it does not, its invariant`;
  return [{ path, line: 1, rule: "header", what, instead }];
}
