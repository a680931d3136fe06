/**
 * Functions that PostgreSQL's libraries call and this PGlite does not have.
 *
 * Owns: turning such a call into an error of the statement. Does not own: loading libraries (Emscripten).
 * Invariant: a function that exists is called as before.
 *
 * Engine: PGlite 0.5.14 was linked without UtfToLocal(), LocalToUtf() and others of src/backend/utils/mb/conv.c, which
 * the conversions between encodings need. Emscripten finds out at the call, throws, and PostgreSQL is gone for everyone
 * (test/faults/engine-death.test.ts).
 */

import { featureNotSupported, type RaisingPostgres, raiseError } from "./errors.ts";

/** The imports of a library, with every function that turns out to be missing replaced by an error. */
export function refuseMissingFunctions(
  env: Record<string, unknown>,
  postgres: () => RaisingPostgres,
): Record<string, unknown> {
  return new Proxy(env, {
    get(target, name: string) {
      const value = target[name];
      if (typeof value !== "function" || name.startsWith("invoke_") || postgres().exports[name]) return value;
      return (...parameters: number[]) => {
        try {
          return value(...parameters);
        } catch (thrown) {
          if (!(thrown instanceof TypeError)) throw thrown;
          return raise(postgres(), name);
        }
      };
    },
  });
}

function raise(postgres: RaisingPostgres, name: string): never {
  raiseError(postgres, {
    code: featureNotSupported,
    message: `this PostgreSQL was built without the function ${name}`,
    hint: "PGlite cannot convert between encodings: use UTF8.",
  });
}
