/**
 * The locales of libc, as PostgreSQL finds them here.
 *
 * Owns: their names. Does not own: where PostgreSQL asks (`rewrite/locales.ts`), locales of ICU and those built in, which are PostgreSQL's.
 */
import type { Machine } from "./machine.ts";

/** "" is the environment's, which is C. */
const known = /^(|C|POSIX|C\.(UTF-?8|utf-?8))$/;

/** Whether there is the locale of this name, a C string or NULL, or all those of one name for each category. */
export function isLocale({ bytes }: Machine, name: number): boolean {
  if (name === 0) return true;
  const text = Buffer.from(bytes.slice(name, bytes.indexOf(0, name))).toString("latin1");
  return text.split(";").every((locale) => known.test(locale));
}
