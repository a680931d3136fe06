/**
 * The comments of a file.
 *
 * Owns: finding them all, and the one that the file opens with. Does not own: what a comment may say.
 * Invariant: nothing inside of a string, a template or a regular expression is taken for a comment.
 */
import { type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import type { Comment } from "./module.ts";
import { walk } from "./walk.ts";

const literals = new Set<SyntaxKind>([
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
  SyntaxKind.RegularExpressionLiteral,
]);

const shebang = /^#![^\n]*/;

/** Returns every comment in the order of the text; each `//` line is a comment of its own. */
export function readComments(source: SourceFile): Comment[] {
  const pieces: string[] = [];
  let at = 0;
  const blankUntil = (start: number, end: number) => {
    pieces.push(source.text.slice(at, start), "_".repeat(end - start));
    at = end;
  };
  blankUntil(0, shebang.exec(source.text)?.[0].length ?? 0);
  walk(source, (node) => {
    if (literals.has(node.kind)) blankUntil(node.getStart(source), node.getEnd());
  });
  const code = pieces.join("") + source.text.slice(at);
  return [...code.matchAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g)].map(({ index, 0: { length } }) => ({
    text: source.text.slice(index, index + length),
    line: source.getLineAndCharacterOfPosition(index).line + 1,
    start: index,
  }));
}

/** Returns the comment that the file opens with, if it does; `//` lines that follow each other are one. */
export function readHeader(source: SourceFile, comments: readonly Comment[]): Comment | undefined {
  const [first, ...rest] = comments;
  if (!first || source.text.slice(0, first.start).replace(shebang, "").trim() !== "") return undefined;
  if (first.text.startsWith("/*")) return first;
  const lines = [first];
  for (const next of rest) {
    if (!next.text.startsWith("//") || next.line !== lines.at(-1)!.line + 1) break;
    lines.push(next);
  }
  return { ...first, text: lines.map(({ text }) => text).join("\n") };
}
