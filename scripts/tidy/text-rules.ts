/**
 * Rules about what must not be left in a text.
 *
 * Owns: leftovers in comments, and traces of one machine in any file. Does not own: the layout of a file.
 * Invariant: a line is judged by itself, so that a finding points at what is to go.
 */
import type { Finding } from "./finding.ts";
import type { Comment, Module } from "./module.ts";

const marker = /\b(?:FIXME|TODO|XXX|HACK)\b/;

/** Lines that are code and could not be prose; the formatter ends every statement with a semicolon. */
const codeShapes = [
  /^(?:export\s+)?(?:const|let|var)\s+[\w{[$].*=.*[;{([]$/,
  /^import\b.*["'][^"']+["'].*;$/,
  /^export\b.*[;{]$/,
  /^(?:return|throw)(?:\s+(?:await\s+|new\s+)?[\w$#.[\]]+(?:\(.*\))?)?;$/,
  /^(?:if|for|while|switch)\s*\(.*\)\s*(?:\{|.*;)$/,
  /^(?:\}\s*)?(?:else|try|finally|do)\s*\{$|^\}\s*(?:else|catch|finally)\b.*\{$|^\}\)*;?$/,
  /^(?:await\s+|void\s+)?[\w$#.[\]]+\(.*\)(?:\.\w+\(.*\))*;$/,
  /^[\w$#.[\]]+\s*(?:[-+*/|&?]{0,2})=\s*[^=].*;$/,
  /^(?:async\s+)?function\b.*\{$|^class\s.*\{$/,
  /^(?:test|it|describe)(?:\.\w+)*\(.*(?:=>\s*\{|,)$/,
];

interface TextRule {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly instead: string;
}

/** A path does not count when it is the end of a longer one, such as an address or a pattern. */
const textRules: readonly TextRule[] = [
  {
    rule: "machine-path",
    pattern: /(?<![\w.\-*})~])\/(?:work\/|tmp\/scratch|root\/|(?:home|Users)\/[\w.-]+\/)/,
    instead: "use a path relative to the file, or a temporary folder made at run time",
  },
  {
    rule: "registry-address",
    pattern:
      /https?:\/\/[\w.:@-]*(?:registry|artifactory|nexus|verdaccio)[\w.-]*|"resolved":\s*"http|^\s*(?:@[\w-]+:)?registry\s*=/,
    instead: "leave the registry to each machine's own npm configuration",
  },
];

/** Checks the comments of code: `marker` and `commented-out-code`. */
export function checkComments(modules: readonly Module[]): Finding[] {
  return modules
    .filter(({ area }) => area !== "elsewhere")
    .flatMap(({ path, comments }) =>
      comments.flatMap((comment) => [...checkMarkers(path, comment), ...checkCode(path, comment)]),
    );
}

/** Checks every text of the tree: `machine-path` and `registry-address`. */
export function checkTexts(tree: ReadonlyMap<string, string>): Finding[] {
  return [...tree].flatMap(([path, text]) =>
    text.split("\n").flatMap((content, index) =>
      textRules.flatMap(({ rule, pattern, instead }) => {
        const found = pattern.exec(content);
        return found ? [{ path, line: index + 1, rule, what: `\`${found[0].trim()}\``, instead }] : [];
      }),
    ),
  );
}

function checkMarkers(path: string, comment: Comment): Finding[] {
  return comment.text.split("\n").flatMap((text, index) => {
    const found = marker.exec(text);
    if (!found) return [];
    const instead = "do it now, or say what holds today";
    return [{ path, line: comment.line + index, rule: "marker", what: `a leftover ${found[0]}`, instead }];
  });
}

/** Docstrings may show code; everything else says why. */
function checkCode(path: string, comment: Comment): Finding[] {
  if (comment.text.startsWith("/**")) return [];
  const lines = comment.text.replace(/\*\/$/, "").split("\n");
  const index = lines.findIndex((line) => {
    const content = line.replace(/^\s*(?:\/\/+|\/\*|\*(?!\/))?/, "").trim();
    return codeShapes.some((shape) => shape.test(content));
  });
  if (index === -1) return [];
  const what = "code in a comment";
  return [{ path, line: comment.line + index, rule: "commented-out-code", what, instead: "delete it; git remembers" }];
}
