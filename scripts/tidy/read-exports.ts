/**
 * What a file exports.
 *
 * Owns: every exported name, and whether its declaration has a docstring. Does not own: who uses it.
 * Invariant: the comment that opens a file is nobody's docstring, also when a declaration follows it directly.
 */
import {
  isExportAssignment,
  isExportDeclaration,
  isNamedExports,
  isVariableStatement,
  type Node,
  type SourceFile,
  SyntaxKind,
} from "typescript/unstable/ast";
import type { Comment, Export } from "./module.ts";
import { lineOf } from "./walk.ts";

/** Returns the exported names in the order of the text; what `export *` passes on has no name here. */
export function readExports(source: SourceFile, header: Comment | undefined): Export[] {
  const documented = documentedNames(source, header);
  const docstringOf = (name: string) => (documented.has(name) ? "present" : "missing");
  return source.statements.flatMap((statement): Export[] => {
    const line = lineOf(source, statement);
    if (isExportAssignment(statement)) return [{ name: "default", line, docstring: docstringOf("default") }];
    if (isExportDeclaration(statement)) {
      const { exportClause: clause, moduleSpecifier } = statement;
      if (!clause) return [];
      if (!isNamedExports(clause)) return [{ name: clause.name.getText(source), line, docstring: "re-export" }];
      return clause.elements.map((element) => ({
        name: element.name.getText(source),
        line: lineOf(source, element),
        docstring: moduleSpecifier ? "re-export" : docstringOf((element.propertyName ?? element.name).getText(source)),
      }));
    }
    if (!hasModifier(statement, SyntaxKind.ExportKeyword)) return [];
    return exportedNames(statement, source).map((name) => ({ name, line, docstring: docstringOf(name) }));
  });
}

/** The names of top-level declarations with a docstring; one docstring serves all overloads of a function. */
function documentedNames(source: SourceFile, header: Comment | undefined): Set<string> {
  const names = new Set<string>();
  for (const statement of source.statements) {
    const docstring = statement.jsDoc?.at(-1);
    if (!docstring || docstring.pos === header?.start || !/\w/.test(docstring.getText(source))) continue;
    for (const name of exportedNames(statement, source)) names.add(name);
  }
  return names;
}

function exportedNames(statement: Node, source: SourceFile): string[] {
  if (isExportAssignment(statement) || hasModifier(statement, SyntaxKind.DefaultKeyword)) return ["default"];
  if (isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => boundNames(name, source));
  }
  const { name } = statement as { name?: Node };
  return name ? [name.getText(source)] : [];
}

/** The names in `a`, `{ a, b: c }` and `[a, b]`. */
function boundNames(binding: Node, source: SourceFile): string[] {
  const { elements } = binding as { elements?: readonly { name?: Node }[] };
  if (!elements) return [binding.getText(source)];
  return elements.flatMap(({ name }) => (name ? boundNames(name, source) : []));
}

function hasModifier(statement: Node, kind: SyntaxKind): boolean {
  const { modifiers } = statement as { modifiers?: readonly Node[] };
  return modifiers?.some((modifier) => modifier.kind === kind) ?? false;
}
