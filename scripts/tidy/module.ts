/**
 * A code file as the rules see it: plain data, without a syntax tree.
 *
 * Owns: the shapes. Does not own: how they are read (`read-*.ts`) or judged (`*-rules.ts`).
 * Invariant: paths are relative to the project's root, with `/`; lines count from 1.
 */

/** One file that was parsed. */
export interface Module {
  readonly path: string;
  readonly area: Area;
  /** Lines of text; the end of the last one does not begin another. */
  readonly lineCount: number;
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
  readonly functions: readonly FunctionSpan[];
  readonly comments: readonly Comment[];
  /** The comment that the file opens with. */
  readonly header: Comment | undefined;
  readonly syntaxErrors: readonly { readonly line: number; readonly message: string }[];
}

/** Where a file lives: the folders that the rules know, or anywhere else. */
type Area = "src" | "scripts" | "test" | "elsewhere";

/** One reference to another file or package: import, re-export, `import()`, `require()` or `import("…")` as a type. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** The file of the tree it refers to; undefined for a package, and for a file that is not there. */
  readonly target: string | undefined;
  /** The names it takes. `everything` for a namespace; `export *` passes on what its own importers take. */
  readonly names: readonly string[] | "everything" | "export *";
}

/** One exported name. */
export interface Export {
  readonly name: string;
  readonly line: number;
  /** `re-export`: declared in another file, which owns the docstring. */
  readonly docstring: "present" | "missing" | "re-export";
}

/** A function with a body. */
export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
  /** It groups tests: the callback of a `describe`. */
  readonly isTestGroup: boolean;
}

/** One comment, with its delimiters. */
export interface Comment {
  readonly text: string;
  readonly line: number;
  /** Its offset in the text of the file. */
  readonly start: number;
}

/** Returns the area of a path. */
export function areaOf(path: string): Area {
  const [folder, ...rest] = path.split("/");
  return rest.length > 0 && (folder === "src" || folder === "scripts" || folder === "test") ? folder : "elsewhere";
}

/** Returns the lines of a comment without its delimiters; blank ones count where text follows. */
export function contentLines(comment: Comment): string[] {
  return comment.text
    .replace(/^\/\*+/, "")
    .replace(/\*+\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*(?:\*|\/\/)?/, "").trim())
    .join("\n")
    .trim()
    .split("\n");
}
