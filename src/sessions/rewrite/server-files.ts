/**
 * The part of the rewrite that reports the server's files that a statement uses.
 *
 * Owns: the rewritten places. Does not own: which files are refused (`../server-files.ts`).
 * Invariant: each place reports the file before PostgreSQL opens, makes or examines it.
 */
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, get } from "./code.ts";
import { Hook } from "./hooks.ts";
import type { Locator } from "./locate.ts";

/** See the head of the file. */
export function rewriteServerFiles(locator: Locator, hook: number): void {
  const { module } = locator;
  const tell = (kind: number) => [get(0), constant(0), constant(kind), call(hook), [Op.drop]];
  // storage/file/fd.c, all with their names in their messages: what COPY, file_fdw and pg_read_file() open files with, what lo_import()
  // and lo_export() do, and what pg_ls_dir() does.
  callOnEntry(module, module.exportedFunction("AllocateFile"), tell(Hook.openFile));
  callOnEntry(module, locator.functionByStrings("OpenTransientFilePerm"), tell(Hook.openFile));
  callOnEntry(module, locator.functionByStrings("AllocateDir"), tell(Hook.openFile));
  // utils/adt/genfile.c: pg_stat_file() opens nothing. What its functions are given, they check there first.
  callOnEntry(module, locator.functionByStrings("convert_and_check_filename"), tell(Hook.checkFile));
}
