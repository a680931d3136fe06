/**
 * An extension of PGlite that breaks PostgreSQL when it is told to: a pointer of the loaded session leads out of memory.
 *
 * Runs in the engine thread. What follows is real: the next subtransaction traps, as it would after a bug of PostgreSQL's.
 */
export const saboteur = {
  name: "saboteur",
  setup: async (pglite) => {
    const orders = new BroadcastChannel("saboteur");
    const strike = () => {
      const { HEAPU8, _TopTransactionContext } = pglite.Module;
      new Uint32Array(HEAPU8.buffer)[_TopTransactionContext >> 2] = 0xffff_fff0;
    };
    // Again and again: another session may be the loaded one.
    orders.onmessage = () => setInterval(strike, 1);
    // The thread may end with it.
    orders.unref();
    return {};
  },
};
