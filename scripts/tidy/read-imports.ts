/**
 * What a file refers to.
 *
 * Owns: every form in which a file or a package can be named. Does not own: which of them are allowed.
 * Invariant: types and values are treated alike; a relative path is resolved as it is written, extension included.
 */
import { posix } from "node:path";
import {
  isCallExpression,
  isExportDeclaration,
  isExternalModuleReference,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from "typescript/unstable/ast";
import type { Import } from "./module.ts";
import { lineOf, walk } from "./walk.ts";

/** Returns the references of a file to others, in the order of the text. */
export function readImports(source: SourceFile, path: string, exists: (path: string) => boolean): Import[] {
  const imports: Import[] = [];
  walk(source, (node) => {
    const reference = referenceOf(node);
    if (!reference || !isStringLiteral(reference)) return;
    const specifier = reference.text;
    const target = /^\.\.?\//.test(specifier) ? posix.join(posix.dirname(path), specifier) : undefined;
    imports.push({
      specifier,
      line: lineOf(source, node),
      target: target !== undefined && exists(target) ? target : undefined,
    });
  });
  return imports;
}

/** Where a node says which file or package it refers to. */
function referenceOf(node: Node): Node | undefined {
  if (isImportDeclaration(node) || isExportDeclaration(node)) return node.moduleSpecifier;
  if (isExternalModuleReference(node)) return node.expression;
  if (isImportTypeNode(node)) return isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  return isCallExpression(node) && isLoader(node.expression) ? node.arguments[0] : undefined;
}

/** `import(…)` and `require(…)`. */
function isLoader(callee: Node): boolean {
  return callee.kind === SyntaxKind.ImportKeyword || callee.getText() === "require";
}
