/**
 * Booting PGlite without timers of its own.
 *
 * Owns: replacing one import of the WebAssembly module while it is instantiated. Does not own: timeouts; whoever needs
 * them has a clock outside. Invariant: `WebAssembly.instantiate` is the original one again when the boot has ended.
 *
 * Engine: PGlite arms PostgreSQL's timeouts with `_setitimer_js`, whose callback runs the signal handler while nobody is
 * in the engine. After `SET idle_in_transaction_session_timeout` the next call meets the FATAL error and never
 * returns: one client stops the server for all (test/faults/timeout-settings.test.ts).
 */

type Imports = Record<string, Record<string, unknown>>;
type Instantiate = (source: unknown, imports?: Imports) => Promise<unknown>;

// TypeScript knows WebAssembly only with the browser's library.
const { WebAssembly: webAssembly } = globalThis as unknown as { WebAssembly: { instantiate: Instantiate } };
const instantiate = webAssembly.instantiate;
let booting = 0;

/** Runs `boot`; modules that are instantiated meanwhile get a `_setitimer_js` that does nothing. */
export async function withoutTimers<T>(boot: () => Promise<T>): Promise<T> {
  // Counted, because several engines may boot side by side.
  booting++;
  webAssembly.instantiate = (source, imports) => instantiate(source, withoutTimerImport(imports));
  try {
    return await boot();
  } finally {
    if (--booting === 0) webAssembly.instantiate = instantiate;
  }
}

function withoutTimerImport(imports: Imports | undefined): Imports | undefined {
  const env = imports?.env;
  if (env && "_setitimer_js" in env) env._setitimer_js = () => 0;
  return imports;
}
