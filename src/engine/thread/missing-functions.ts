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

/** What is needed of PostgreSQL to raise an error in it. */
export interface PostgresCalls {
  /** Its exported functions. */
  readonly exports: Readonly<Record<string, ((...parameters: number[]) => number) | undefined>>;
  /** Its memory as it is now. */
  readonly bytes: Uint8Array;
}

// ERROR of src/include/utils/elog.h, and MAKE_SQLSTATE('0','A','0','0','0').
const error = 21;
const featureNotSupported = ("A".charCodeAt(0) - "0".charCodeAt(0)) << 6;

/** The imports of a library, with every function that turns out to be missing replaced by an error. */
export function refuseMissingFunctions(
  env: Record<string, unknown>,
  postgres: () => PostgresCalls,
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

// ereport(): errfinish() leaves by a long jump, like any error of PostgreSQL's own.
function raise(postgres: PostgresCalls, name: string): number {
  const call = (callee: string, ...parameters: number[]) => postgres.exports[callee]!(...parameters);
  const text = (value: string): number => {
    const bytes = Buffer.from(`${value}\0`);
    const address = call("malloc", bytes.length);
    postgres.bytes.set(bytes, address);
    return address;
  };
  call("errstart", error, 0);
  call("errcode", featureNotSupported);
  call("errmsg_internal", text(`this PostgreSQL was built without the function ${name}`), 0);
  call("errhint", text("PGlite cannot convert between encodings: use UTF8."), 0);
  call("errfinish", 0, 0, 0);
  return 0;
}
