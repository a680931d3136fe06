/**
 * From the texts of a tree to its modules.
 *
 * Owns: the use of TypeScript's own parser, on a file system in memory. Does not own: what is read from a syntax tree.
 * Invariant: nothing is resolved, type-checked or read from the disk; the same texts give the same modules.
 *
 * The parser is the native one of TypeScript 7, in a process of its own that lives as long as a `TreeParser`: starting it
 * takes longer than a small tree. Its interface is marked unstable, and the version is pinned.
 */
import type { SourceFile } from "typescript/unstable/ast";
import { API, type Project } from "typescript/unstable/async";
import { createVirtualFileSystem, type FileSystem } from "typescript/unstable/fs";
import { areaOf, type Module } from "./module.ts";
import { readComments, readHeader } from "./read-comments.ts";
import { readExports } from "./read-exports.ts";
import { readFunctions } from "./read-functions.ts";
import { readImports } from "./read-imports.ts";

const codeFile = /\.[cm]?[jt]s$/;
const nothing = createVirtualFileSystem({});

/** The parser's process, for one tree or many, one after the other. */
export class TreeParser {
  /** The directory of a tree → its files. Each has one of its own, so that nothing is remembered of another. */
  readonly #trees = new Map<string, FileSystem>();
  readonly #api: API;
  #count = 0;

  constructor() {
    this.#api = new API({
      cwd: "/",
      fs: {
        readFile: (path) => this.#filesOf(path).readFile!(path),
        fileExists: (path) => this.#filesOf(path).fileExists!(path),
        directoryExists: (path) => this.#filesOf(path).directoryExists!(path),
        getAccessibleEntries: (path) => this.#filesOf(path).getAccessibleEntries!(path),
        realpath: (path) => path,
      },
    });
  }

  /** Parses every code file of a tree (path → text) and returns its modules in the order of their paths. */
  async parse(tree: ReadonlyMap<string, string>): Promise<Module[]> {
    const paths = [...tree.keys()].filter((path) => codeFile.test(path)).sort();
    if (paths.length === 0) return [];
    const parsing = { noResolve: true, noLib: true, types: [], allowJs: true, allowImportingTsExtensions: true };
    const root = `/tree${this.#count++}/`;
    const configuration = `${root}tsconfig.json`;
    const texts = paths.map((path) => [root + path, tree.get(path)!]);
    const files = {
      [configuration]: JSON.stringify({ compilerOptions: parsing, files: paths }),
      ...Object.fromEntries(texts),
    };
    this.#trees.set(root, createVirtualFileSystem(files));
    try {
      const snapshot = await this.#api.updateSnapshot({ openProjects: [configuration] });
      const project = snapshot.getProject(configuration);
      const modules = await Promise.all(paths.map((path) => readModule(root, path, project!, tree)));
      await snapshot.dispose();
      await (await this.#api.updateSnapshot({ closeProjects: [configuration] })).dispose();
      return modules;
    } finally {
      this.#trees.delete(root);
    }
  }

  /** Ends the process. */
  close(): Promise<void> {
    return this.#api.close();
  }

  #filesOf(path: string): FileSystem {
    return this.#trees.get(/^\/tree\d+\//.exec(`${path}/`)?.[0] ?? "") ?? nothing;
  }
}

async function readModule(
  root: string,
  path: string,
  project: Project,
  tree: ReadonlyMap<string, string>,
): Promise<Module> {
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
