/**
 * Sessions for the tests of this folder.
 *
 * Owns: that every switch is checked: memory that has changed without a mark, or is not as its session left it, is an error
 * of the test; that a database in memory begins as the product's does, with the cluster that is kept: PGlite's own initdb takes
 * several times as long as the rest of the boot.
 */
import { openMemoryFiles } from "../../../../src/cluster/memory-files.ts";
import { loadPostgres } from "../../../../src/sessions/boot.ts";
import { SessionHost } from "../../../../src/sessions/host.ts";

/** The module, which a file loads once. */
let postgres: ReturnType<typeof loadPostgres> | undefined;

/** As `SessionHost.open`. */
export async function openHost(options: Parameters<typeof SessionHost.open>[0]): Promise<SessionHost> {
  postgres ??= loadPostgres();
  const isForUs = options.dataDir === "memory://" && !options.files;
  const files = isForUs ? { files: await openMemoryFiles() } : {};
  const host = await SessionHost.open({ postgres: await postgres, ...files, ...options });
  host.scheduler.checkImages();
  return host;
}
