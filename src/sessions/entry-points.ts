/**
 * PostgreSQL's functions that the sessions call.
 *
 * Owns: their names and which of them may park. Does not own: when they are called (`session.ts`).
 */
import { type AfterError, forgetFailedStatements } from "./failed-portal.ts";
import type { Machine } from "./machine.ts";
import { batchLoop } from "./module/trampolines.ts";
import { promising, type WasmFunction, webAssembly } from "./wasm/web-assembly.ts";

/** See each member for the function's name in PostgreSQL or PGlite. */
export interface EntryPoints {
  /** `pgl_startPGlite` (PGlite): makes `MyProcPort` and connects PostgreSQL's output to the callbacks. */
  startPGlite(): void;
  /** `pgl_set_rw_cbs` (PGlite) with the machine's own callbacks. */
  setCallbacks(): void;
  /** `ProcessStartupPacket(port, ssl_done, gss_done)` (tcop/backend_startup.c). */
  processStartupPacket(port: number, sslDone: number, gssDone: number): Promise<number>;
  /** `InitProcess` (storage/lmgr/proc.c). */
  initProcess(): Promise<number>;
  /** `PostgresMain(dbname, username)` (tcop/postgres.c). */
  postgresMain(database: number, user: number): Promise<number>;
  /**
   * `PostgresMainLoopOnce` (PGlite), one round of PostgresMain's loop, while there is input; then
   * `PostgresSendReadyForQueryIfNecessary` (PGlite).
   */
  runBatch(): Promise<number>;
  /** The last of them. */
  endBatch(): Promise<number>;
  /** `PostgresMainLongJmp` (PGlite): what PostgresMain does after an error. */
  mainLongJump(): Promise<number>;
  /** `CheckpointerMain(startup_data, length)` (postmaster/checkpointer.c). */
  checkpointerMain(data: number, length: number): Promise<number>;
  /** `WalWriterMain(startup_data, length)` (postmaster/walwriter.c). */
  walWriterMain(data: number, length: number): Promise<number>;
  /** `pgl_pq_flush` (PGlite). */
  flush(): Promise<number>;
  /** `proc_exit_prepare(code)` (storage/ipc/ipc.c): all that a backend does before it is gone. */
  exitPrepare(code: number): Promise<number>;
  /** `pq_buffer_remaining_data` (PGlite): bytes read from the client and not yet looked at. */
  unreadBytes(): number;
  /** `IsTransactionBlock`, `IsAbortedTransactionBlockState` (access/xact.c). */
  isTransactionBlock(): number;
  isAborted(): number;
  /** After `mainLongJump`; see there. */
  forgetFailedStatements(): void;
  /** `FlushErrorState` (utils/error/elog.c): forgets errors that were raised and not reported. */
  forgetErrors(): void;
  stack(): number;
  restoreStack(stack: number): void;
}

const stackAlignment = 16;

/** The entry points of a machine. Throws when one is missing. `hasInput` says whether the client has sent more. */
export function entryPoints(machine: Machine, hasInput: () => boolean): EntryPoints {
  const unreadBytes = machine.function("pq_buffer_remaining_data");
  const batch = new webAssembly.Instance(new webAssembly.Module(batchLoop()), {
    host: {
      step: machine.function("PostgresMainLoopOnce"),
      more: () => (hasInput() || unreadBytes() > 0 ? 1 : 0),
      finish: machine.function("PostgresSendReadyForQueryIfNecessary"),
    },
  });
  const findPortal = machine.function("SPI_cursor_find");
  const stackAlloc = machine.function("_emscripten_stack_alloc");
  const restoreStack = machine.function("_emscripten_stack_restore");
  const afterError: AfterError = {
    get words() {
      return machine.words;
    },
    get bytes() {
      return machine.bytes;
    },
    setWord: (address, value) => machine.setWord(address, value),
    unnamedPortal: () => {
      const name = stackAlloc(1);
      // The stack needs no mark: what is in use of it is copied at every switch.
      machine.bytes[name] = 0;
      const portal = findPortal(name);
      restoreStack(name + stackAlignment);
      return portal;
    },
  };
  const setCallbacks = machine.function("pgl_set_rw_cbs");
  return {
    startPGlite: machine.function("pgl_startPGlite"),
    setCallbacks: () => setCallbacks(machine.bridgeSlots.read, machine.bridgeSlots.write),
    processStartupPacket: machine.promising("ProcessStartupPacket"),
    initProcess: machine.promising("sessions_InitProcess"),
    postgresMain: machine.promising("sessions_PostgresMain"),
    runBatch: promising(batch.exports.run as WasmFunction),
    endBatch: promising(batch.exports.end as WasmFunction),
    mainLongJump: machine.promising("PostgresMainLongJmp"),
    checkpointerMain: machine.promising("sessions_CheckpointerMain"),
    walWriterMain: machine.promising("sessions_WalWriterMain"),
    flush: machine.promising("pgl_pq_flush"),
    exitPrepare: machine.promising("sessions_proc_exit_prepare"),
    unreadBytes,
    isTransactionBlock: machine.function("IsTransactionBlock"),
    isAborted: machine.function("IsAbortedTransactionBlockState"),
    forgetFailedStatements: () => forgetFailedStatements(afterError),
    forgetErrors: machine.function("FlushErrorState"),
    stack: machine.function("emscripten_stack_get_current"),
    restoreStack,
  };
}
