/**
 * The locales of libc, as PostgreSQL finds them here.
 *
 * Owns: their names. Does not own: where PostgreSQL asks for them (`rewrite/locales.ts`), ICU locales, and PostgreSQL's builtin locales.
 */
import type { Machine } from "./machine.ts";

/** "" means the environment's locale, which is C. */
const known = /^(|C|POSIX|C\.(UTF-?8|utf-?8))$/;

/** Whether a locale exists. The name is a C string or NULL; it may list one locale for each category. */
export function isLocale({ bytes }: Machine, name: number): boolean {
  if (name === 0) return true;
  const text = Buffer.from(bytes.slice(name, bytes.indexOf(0, name))).toString("latin1");
  return text.split(";").every((locale) => known.test(locale));
}
