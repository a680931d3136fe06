/**
 * The functions of a file.
 *
 * Owns: finding every function with a body, its name and its extent. Does not own: how long one may be.
 * Invariant: a function inside of another counts for both.
 */
import { isCallExpression, isFunctionLikeDeclaration, type Node, type SourceFile } from "typescript/unstable/ast";
import type { FunctionSpan } from "./module.ts";
import { lineOf, walk } from "./walk.ts";

/** Returns every function, method, accessor, constructor and arrow function that has a body. */
export function readFunctions(source: SourceFile): FunctionSpan[] {
  const functions: FunctionSpan[] = [];
  walk(source, (node, parents) => {
    if (!isFunctionLikeDeclaration(node) || !(node as { body?: Node }).body) return;
    const line = lineOf(source, node);
    const lastLine = source.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
    const parent = parents.at(-1);
    functions.push({
      name: nameOf(node, source) ?? (parent && nameOf(parent, source)) ?? "an anonymous function",
      line,
      lineCount: lastLine - line + 1,
      isTestGroup:
        parent !== undefined && isCallExpression(parent) && /^(?:describe|suite)/.test(parent.getText(source)),
    });
  });
  return functions;
}

function nameOf(node: Node, source: SourceFile): string | undefined {
  return (node as { name?: Node }).name?.getText(source);
}
