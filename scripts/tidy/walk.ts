/**
 * A way through a syntax tree.
 *
 * Owns: visiting every node once, and the line of a node. Does not own: what a node means.
 * Invariant: parents come before their children, in the order of the text.
 */
import type { Node, SourceFile } from "typescript/unstable/ast";

/** Calls `visit` for a node and everything below it, with the chain of its parents, the nearest last. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void): void {
  const parents: Node[] = [];
  const step = (current: Node): void => {
    visit(current, parents);
    parents.push(current);
    current.forEachChild((child) => step(child));
    parents.pop();
  };
  step(node);
}

/** Returns the line on which a node begins; its docstring is not part of it. */
export function lineOf(source: SourceFile, node: Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}
