/**
 * Emscripten's kinds of file systems, in memory and of the system, wherever a PGlite has them.
 *
 * Owns: where they are. Does not own: what is changed in them (`memory-nodes.ts`, `../engine/data-directory/directory-files.ts`).
 */

/**
 * That of the name, of PGlite's `Module`. Its shape is the caller's affair.
 * Engine: beside `FS` since PGlite 0.5.15 (Emscripten 6.0.13), before in `FS.filesystems` (`pglite-versions.long.test.ts`).
 */
export function fileSystemOf<Kind>(module: unknown, name: "MEMFS" | "NODEFS"): Kind {
  const postgres = module as { FS: { filesystems?: Record<string, Kind> } } & Record<string, unknown>;
  const kind = (postgres.FS.filesystems ?? (postgres as Record<string, unknown>))[name];
  if (!kind) throw new Error(`this PGlite does not show Emscripten's ${name}`);
  return kind as Kind;
}
