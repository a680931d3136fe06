/**
 * The extensions that PGlite ships, and ICU's data, in its file system as soon as PostgreSQL looks for them.
 *
 * Owns: when they are unpacked, and which of their files. Does not own: ICU's data (`../cluster/icu-data.ts`), loading a library (`late-libraries.ts`, Emscripten),
 * extensions in packages of their own (`../engine/extensions.ts`).
 * Invariant: who uses none pays nothing; a library is unpacked when it is itself looked for, since one is larger than all else.
 * Engine: emscripten asks for a file by these functions; PostgreSQL lists a directory by opening it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { icuDirectory, icuTar } from "../cluster/icu-data.ts";
import { pgliteFile } from "../cluster/pglite-files.ts";
import { readTar } from "./tar.ts";

/** What is used of PGlite's file system. */
interface SystemFiles {
  analyzePath(path: string): { readonly exists: boolean };
  mkdirTree(path: string): void;
  writeFile(path: string, contents: Uint8Array): void;
}

type Call = (...values: number[]) => number;

const prefix = "/pglite/";
const suffix = ".tar.gz";
const extensionDirectory = `${prefix}share/postgresql/extension`;
const libraryDirectory = `${prefix}lib/postgresql`;
const places = [extensionDirectory, libraryDirectory, `${prefix}share/postgresql/tsearch_data`];
/** Which argument is the path. */
const lookups = { __syscall_openat: 1, __syscall_stat64: 0, __syscall_newfstatat: 1, __syscall_faccessat: 1 } as const;
/** WASI's number of ENOENT. */
const noEntry = -44;

/** See the head of the file. */
export class BundledExtensions {
  /** Set when PostgreSQL has started; before that, no extension is needed. */
  files: SystemFiles | undefined;
  /** Set before PostgreSQL opens a database, which may have an ICU order. Undefined once ICU's data is unpacked. */
  filesForIcu: SystemFiles | undefined;
  readonly #bytes: () => Uint8Array;
  /** The bundle of each library that is not unpacked; undefined until something is looked for. */
  #libraries: Map<string, string> | undefined;

  constructor(bytes: () => Uint8Array) {
    this.#bytes = bytes;
  }

  /** Replaces the functions by which PostgreSQL looks for files. */
  offer(env: Record<string, unknown>): void {
    for (const [name, argument] of Object.entries(lookups)) {
      const call = env[name] as Call;
      env[name] = (...values: number[]) => {
        if (this.filesForIcu && this.#beginsWith(values[argument]!, icuDirectory)) this.#unpackIcu(this.filesForIcu);
        const path = this.files && this.#pathAt(values[argument]!);
        if (path === undefined) return call(...values);
        if (path === extensionDirectory) this.#unpack();
        const result = call(...values);
        return result === noEntry && this.#provide(path) ? call(...values) : result;
      };
    }
  }

  /** The path if it is one where extensions have files. */
  #pathAt(address: number): string | undefined {
    const bytes = this.#bytes();
    if (!this.#beginsWith(address, prefix)) return undefined;
    const path = Buffer.from(bytes.slice(address, bytes.indexOf(0, address))).toString("utf8");
    return places.some((place) => path === place || path.startsWith(`${place}/`)) ? path : undefined;
  }

  #beginsWith(address: number, text: string): boolean {
    const bytes = this.#bytes();
    for (let at = 0; at < text.length; at++) if (bytes[address + at] !== text.charCodeAt(at)) return false;
    return true;
  }

  /** PGlite's own two files are among them. */
  #unpackIcu(files: SystemFiles): void {
    this.filesForIcu = undefined;
    for (const { name, contents } of readTar(icuTar())) {
      const path = `${icuDirectory}/${name}`;
      files.mkdirTree(dirname(path));
      files.writeFile(path, contents);
    }
  }

  /** A file that is missing: whether it may be there now. */
  #provide(path: string): boolean {
    const wasUnpacked = this.#libraries !== undefined;
    this.#unpack();
    const bundle = this.#libraries!.get(path);
    if (bundle === undefined) return !wasUnpacked;
    this.#libraries!.delete(path);
    const library = filesOf(bundle).find((file) => prefix + file.name === path)!;
    this.files!.writeFile(path, library.contents);
    return true;
  }

  #unpack(): void {
    if (this.#libraries) return;
    this.#libraries = new Map();
    for (const bundle of bundles()) {
      for (const { name, contents } of filesOf(bundle)) {
        const path = prefix + name;
        const directory = dirname(path);
        // One that was named at the start is there.
        if (!places.includes(directory) || this.files!.analyzePath(path).exists) continue;
        if (directory === libraryDirectory) this.#libraries.set(path, bundle);
        else {
          this.files!.mkdirTree(directory);
          this.files!.writeFile(path, contents);
        }
      }
    }
  }
}

function bundles(): string[] {
  const directory = dirname(pgliteFile("pglite.wasm"));
  return readdirSync(directory).flatMap((name) => (name.endsWith(suffix) ? [join(directory, name)] : []));
}

function filesOf(bundle: string) {
  return readTar(gunzipSync(readFileSync(bundle)));
}
