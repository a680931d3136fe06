/**
 * The types of the JavaScript that Emscripten has made around pg_dump.
 *
 * Owns: the types of the parts in use. Does not own: the module, which `scripts/pg-dump-module.ts` bundles in.
 */
declare module "pg_dump.js" {
  /** The part of Emscripten's file system that is used. */
  interface FileSystem {
    makedev(major: number, minor: number): number;
    mkdev(path: string, mode: number, device: number): void;
    writeFile(path: string, contents: string, options: { readonly mode: number }): void;
    registerDevice(device: number, operations: DeviceOperations): void;
  }

  interface DeviceOperations {
    open(stream: { seekable: boolean }): void;
    write(stream: unknown, memory: Int8Array, offset: number, length: number): number;
    close(): void;
  }

  export interface PgDumpModule {
    readonly ENV: Record<string, string>;
    readonly FS: FileSystem;
    /** A new view after the memory has grown. */
    readonly HEAPU8: Uint8Array;
    addFunction(callback: (pointer: number, length: number) => number, signature: string): number;
    /** Sets the functions that libpq reads and writes with. */
    _pgl_set_rw_cbs(read: number, write: number): void;
    /** Returns the exit code. */
    callMain(argv: string[]): number;
  }

  export function createPgDump(options: {
    readonly thisProgram: string;
    readonly noExitRuntime: boolean;
    readonly print: (line: string) => void;
    readonly printErr: (line: string) => void;
    readonly preRun: readonly ((module: PgDumpModule) => void)[];
  }): Promise<PgDumpModule>;
}
