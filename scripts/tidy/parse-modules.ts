/**
 * From the texts of a tree to its modules.
 *
 * Owns: the use of TypeScript's own parser, on a file system in memory. Does not own: what is read from a syntax tree.
 * Invariant: nothing is resolved, type-checked or read from the disk; the same texts give the same modules.
 *
 * The parser is the native one of TypeScript 7, in a process of its own that lives as long as one call. Its interface is
 * marked unstable, and the version is pinned.
 */
import type { SourceFile } from "typescript/unstable/ast";
import { API, type Project } from "typescript/unstable/async";
import { createVirtualFileSystem } from "typescript/unstable/fs";
import { areaOf, type Module } from "./module.ts";
import { readComments, readHeader } from "./read-comments.ts";
import { readExports } from "./read-exports.ts";
import { readFunctions } from "./read-functions.ts";
import { readImports } from "./read-imports.ts";

const codeFile = /\.[cm]?[jt]s$/;
const root = "/tree/";

/** Parses every code file of a tree (path → text) and returns its modules in the order of their paths. */
export async function parseModules(tree: ReadonlyMap<string, string>): Promise<Module[]> {
  const paths = [...tree.keys()].filter((path) => codeFile.test(path)).sort();
  if (paths.length === 0) return [];
  const configuration = {
    compilerOptions: { noResolve: true, noLib: true, types: [], allowJs: true, allowImportingTsExtensions: true },
    files: paths,
  };
  const api = new API({
    cwd: root,
    fs: createVirtualFileSystem({
      [`${root}tsconfig.json`]: JSON.stringify(configuration),
      ...Object.fromEntries(paths.map((path) => [root + path, tree.get(path)!])),
    }),
  });
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [`${root}tsconfig.json`] });
    const [project] = snapshot.getProjects();
    return await Promise.all(paths.map((path) => readModule(path, project!, tree)));
  } finally {
    await api.close();
  }
}

async function readModule(path: string, project: Project, tree: ReadonlyMap<string, string>): Promise<Module> {
  const source = await project.program.getSourceFile(root + path);
  if (!source) throw new Error(`the parser did not return ${path}`);
  const syntaxErrors = await project.program.getSyntacticDiagnostics(root + path);
  const comments = readComments(source);
  const header = readHeader(source, comments);
  return {
    path,
    area: areaOf(path),
    lineCount: countLines(source.text),
    imports: readImports(source, path, (target) => tree.has(target)),
    exports: readExports(source, header),
    functions: readFunctions(source),
    comments,
    header,
    syntaxErrors: syntaxErrors.map(({ pos, text }) => ({ line: lineAt(source, pos), message: text })),
  };
}

function countLines(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") || text === "" ? 1 : 0);
}

function lineAt(source: SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}
