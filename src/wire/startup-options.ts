/**
 * The startup parameter `options`: arguments of a backend, as `psql "…?options=-c%20name%3Dvalue"` sends them.
 *
 * Owns: splitting it into settings like PostgreSQL's pg_split_opts. Does not own: their meaning.
 * Invariant: anything but a setting is skipped; PostgreSQL reports the error.
 */

/** Returns the settings by name; the last value wins. */
export function settingsIn(options: string | undefined): ReadonlyMap<string, string> {
  const words = [...(options ?? "").matchAll(/(?:\\[\s\S]|[^\s\\])+/g)].map(([word]) =>
    word.replaceAll(/\\([\s\S])/g, "$1"),
  );
  const settings = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const setting = word === "-c" ? words[++i] : /^(?:-c|--)([\s\S]+)$/.exec(word)?.[1];
    const at = setting?.indexOf("=") ?? -1;
    if (at > 0) settings.set(setting!.slice(0, at), setting!.slice(at + 1));
  }
  return settings;
}
