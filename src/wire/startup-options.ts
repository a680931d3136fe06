/**
 * The startup parameter `options`: arguments of a backend, as `psql "…?options=-c%20name%3Dvalue"` sends them.
 *
 * Owns: the settings in it, cut as PostgreSQL's pg_split_opts does. Does not own: what they mean.
 * Invariant: what is no setting is passed over; PostgreSQL says what is wrong with it.
 */

/** The settings by their names; the last one counts. */
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
