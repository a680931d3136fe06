/**
 * The libraries that extensions want PostgreSQL to have from its start on.
 *
 * Owns: keeping them from PGlite. Does not own: which extensions there are (`../engine/extensions.ts`), the setting.
 * Engine: for such an extension PGlite writes `postgresql.conf` anew, with that one line, which is wrong for two libraries. In a
 * directory that would be the end of its user's settings, and of initdb's. So it is told of none, and they become a start
 * parameter.
 */
import type { Extensions } from "@electric-sql/pglite";

/** The extensions for PGlite, and the libraries that they want, which are known when PGlite has set them up. */
export function keepLibraries(extensions: Extensions): { extensions: Extensions; libraries: readonly string[] } {
  const libraries: string[] = [];
  const kept: Extensions = {};
  for (const [name, extension] of Object.entries(extensions)) {
    if (extension instanceof URL) {
      kept[name] = extension;
      continue;
    }
    const setup: typeof extension.setup = async (...parameters) => {
      const { sharedPreloadLibraries = [], ...rest } = await extension.setup(...parameters);
      libraries.push(...sharedPreloadLibraries);
      return rest;
    };
    kept[name] = { name: extension.name, setup };
  }
  return { extensions: kept, libraries };
}
