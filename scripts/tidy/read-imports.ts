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
  isNamedExports,
  isNamedImports,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from "typescript/unstable/ast";
import type { Import } from "./module.ts";
import { lineOf, walk } from "./walk.ts";

type Reference = Pick<Import, "names"> & { readonly specifier: Node | undefined };

/** Returns the references of a file to others, in the order of the text. */
export function readImports(source: SourceFile, path: string, exists: (path: string) => boolean): Import[] {
  const imports: Import[] = [];
  walk(source, (node) => {
    const reference = referenceOf(node);
    if (!reference?.specifier || !isStringLiteral(reference.specifier)) return;
    const specifier = reference.specifier.text;
    const target = /^\.\.?\//.test(specifier) ? posix.join(posix.dirname(path), specifier) : undefined;
    imports.push({
      specifier,
      line: lineOf(source, node),
      target: target !== undefined && exists(target) ? target : undefined,
      names: reference.names,
    });
  });
  return imports;
}

function referenceOf(node: Node): Reference | undefined {
  if (isImportDeclaration(node)) return { specifier: node.moduleSpecifier, names: importedNames(node.importClause) };
  if (isExportDeclaration(node)) {
    const { exportClause: clause, moduleSpecifier: specifier } = node;
    if (!clause) return { specifier, names: "export *" };
    return { specifier, names: isNamedExports(clause) ? clause.elements.map(sourceName) : "everything" };
  }
  if (isExternalModuleReference(node)) return { specifier: node.expression, names: "everything" };
  if (isImportTypeNode(node)) {
    const specifier = isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
    const [name] = node.qualifier?.getText().split(".") ?? [];
    return { specifier, names: name ? [name] : "everything" };
  }
  if (isCallExpression(node) && isLoader(node.expression)) return { specifier: node.arguments[0], names: "everything" };
  return undefined;
}

/** `import(…)` and `require(…)`. */
function isLoader(callee: Node): boolean {
  return callee.kind === SyntaxKind.ImportKeyword || callee.getText() === "require";
}

function importedNames(clause: { readonly name?: Node; readonly namedBindings?: Node } | undefined): Import["names"] {
  const names = clause?.name ? ["default"] : [];
  if (!clause?.namedBindings) return names;
  return isNamedImports(clause.namedBindings)
    ? [...names, ...clause.namedBindings.elements.map(sourceName)]
    : "everything";
}

/** The name in the other file: `a` of `a as b`. */
function sourceName(specifier: { readonly propertyName?: Node; readonly name: Node }): string {
  return (specifier.propertyName ?? specifier.name).getText();
}
