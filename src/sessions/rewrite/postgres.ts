/**
 * The load-time rewrite of PGlite's `pglite.wasm` for real sessions.
 *
 * Owns: which functions of PostgreSQL are made callable, and which ones call back into JavaScript. Does not own: what the
 * callbacks do (`../sessions/`), or the marks, which libraries get, too (`mark-writes.ts`).
 * Invariant: no index moves and no behaviour changes until a hook does something: with hooks that return their second
 * argument the rewritten module is the stock one, on shared memory.
 *
 * Engine: the functions have no names in the binary; each is found as its comment says, exactly once, or the rewrite
 * fails with the pattern's name (test/unit/sessions/rewrite.test.ts runs it on the installed binary).
 */
import { parserGuard, parserName } from "../module/tier-up.ts";
import { concat } from "../wasm/bytes.ts";
import { Op } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";
import { rewriteCheckpoints } from "./checkpoints.ts";
import { call, callOnEntry, constant, functionBody, get, ifTrue, set } from "./code.ts";
import { rewriteDatabases } from "./databases.ts";
import { refuseEncodingsIn } from "./encodings.ts";
import { rewriteFootprints } from "./footprints.ts";
import { Hook, hookImport } from "./hooks.ts";
import { rewriteLocales } from "./locales.ts";
import { Locator, only } from "./locate.ts";
import { skipEmptySettings } from "./login-settings.ts";
import { rewriteServerFiles } from "./server-files.ts";
import { locateSnapshots, type SnapshotVariables } from "./snapshots.ts";
import { reserveStackIn } from "./stack-depth.ts";
import { enlargeStreamBuffers } from "./stream-buffers.ts";

/** What getpid() of PGlite's libc answers, always. */
const constantPid = 42;

/** Where the rewritten module imports its function table from. */
export const tableImport = { module: "env", field: "sessions_table" } as const;

/** What the rewrite found out about the binary. All of it is plain data, so that it can be kept in a file. */
export interface Located {
  /** Addresses of static variables that the binary does not export. */
  readonly addresses: {
    /** `pqsignal_handlers[]` (port/pqsignal.c): one function pointer per signal. */
    readonly signalHandlers: number;
    /** How many callbacks `before_shmem_exit`, `on_shmem_exit` and `on_proc_exit` have registered (ipc.c). */
    readonly exitCallbackCounts: readonly number[];
    /** `LocalLatchData` (utils/init/miscinit.c): the latch of a process without a PGPROC. */
    readonly localLatch: number;
    /** `CatalogSnapshot` (utils/time/snapmgr.c): a pointer, null when there is none. */
    readonly catalogSnapshot: number;
    /** `guc_hashtab` (utils/misc/guc.c) and `prepared_queries` (commands/prepare.c): pointers to hash tables; the latter is null at first. */
    readonly settings: number;
    readonly preparedStatements: number;
    /** `CheckpointerShmem` (postmaster/checkpointer.c): a pointer to what the sessions and the checkpointer share. */
    readonly checkpointerShared: number;
    /** What GetSnapshotData fills, and what the sizes of its arrays come from. */
    readonly snapshots: SnapshotVariables;
  };
  /** How many slots the table must have. */
  readonly tableSize: number;
}

/** The rewritten module. */
export interface RewrittenModule extends Located {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Rewrites `pglite.wasm`. Throws, naming the pattern, when the binary is not of the known shape. */
export function rewritePostgres(stock: Uint8Array): RewrittenModule {
  const module = new WasmModule(stock);
  const locator = new Locator(module);
  const hook = module.importedFunction(hookImport);
  module.shareMemory();

  // storage/lmgr/proc.c: gives the process a PGPROC. Verified by its own name in its error messages.
  module.addFunctionExport("sessions_InitProcess", locator.functionByStrings("InitProcess"));

  // tcop/postgres.c: a backend's whole life. Verified by its own name; it is the caller of InitPostgres.
  const postgresMain = locator.functionByStrings("PostgresMain");
  module.addFunctionExport("sessions_PostgresMain", postgresMain);
  callOnEntry(module, postgresMain, [get(0), get(1), constant(Hook.postgresMain), call(hook), set(1)]);

  rewriteProcessExit(module, locator);

  // storage/ipc/latch.c and port/pgsleep.c, both exported: the two places where a backend waits.
  const waitLatch = module.exportedFunction("WaitLatch");
  callOnEntry(module, waitLatch, [
    ...[get(1), get(3), constant(Hook.waitEvent), call(hook), [Op.drop]],
    ...[get(1), get(2), constant(Hook.waitLatch), call(hook), set(2)],
  ]);
  const sleep = module.exportedFunction("pg_usleep");
  callOnEntry(module, sleep, [get(0), get(0), constant(Hook.sleep), call(hook), set(0)]);

  const kill = locateKill(locator);
  module.replaceBody(kill, functionBody([get(0), get(1), constant(Hook.kill), call(hook)]));

  // storage/ipc/pmsignal.c, PostmasterIsAliveInternal: reads a pipe that no postmaster has; it is verified by its message. A VACUUM that
  // is to go slowly looks.
  const isPostmasterAlive = locator.functionByStrings("read on postmaster death monitoring pipe failed: %m");
  module.replaceBody(isPostmasterAlive, functionBody([constant(1)]));

  callOnEntry(module, locateSbrk(locator), [get(0), get(0), constant(Hook.sbrk), call(hook), set(0)]);

  if (module.exports.has(parserName)) callOnEntry(module, module.exportedFunction(parserName), [parserGuard]);

  // libpq/hba.c: reads and parses pg_hba.conf. Verified by its own name.
  const loadRules = locator.functionByStrings("load_hba");
  module.addFunctionExport("sessions_load_hba", loadRules);
  callOnEntry(module, loadRules, [
    ...[constant(0), constant(0), constant(Hook.accessRules), call(hook)],
    ...ifTrue([constant(1), [Op.return]]),
  ]);

  enlargeStreamBuffers(locator);
  skipEmptySettings(locator);
  refuseEncodingsIn(locator);
  rewriteDatabases(locator, hook);
  rewriteServerFiles(locator, hook);
  rewriteLocales(locator, hook);
  rewriteFootprints(locator, hook);
  reserveStackIn(module);

  const addresses = {
    ...locateVariables(locator),
    checkpointerShared: rewriteCheckpoints(locator, hook),
    snapshots: locateSnapshots(locator),
  };
  const tableSize = module.importTable(tableImport.module, tableImport.field);
  return { bytes: module.toBytes(), addresses, tableSize };
}

/**
 * storage/ipc/ipc.c `proc_exit`, storage/lmgr/proc.c `ProcKill` and `AuxiliaryProcKill`: how a process ends. Each is verified
 * by a message that no other function has. All refuse to run in a child that was forked behind PostgreSQL's back, where getpid() is not the
 * pid they know; PGlite's getpid() is a constant that the compiler has put there, so they get `MyProcPid` to compare with.
 */
function rewriteProcessExit(module: WasmModule, locator: Locator): void {
  const processExit = locator.functionByStrings("proc_exit() called in child process");
  readOwnPid(locator, processExit);
  readOwnPid(locator, processKill(locator));
  readOwnPid(locator, locator.functionByStrings("AuxiliaryProcKill() called in child process"));

  // The exit callbacks: the first thing that proc_exit calls, with its own argument.
  const prepare = locator.calls(processExit)[0] ?? 0;
  locator.operandOf(
    processExit,
    [
      { op: Op.localGet, operand: 0 },
      { op: Op.call, operand: prepare },
    ],
    "proc_exit_prepare",
  );
  module.addFunctionExport("sessions_proc_exit_prepare", prepare);
}

/** Replaces the constant pid in a function by the variable `MyProcPid`. */
function readOwnPid(locator: Locator, index: number): void {
  const { module } = locator;
  const [at, ...more] = locator.code(index).filter(({ op, operand }) => op === Op.i32Const && operand === constantPid);
  if (!at || more.length > 0) throw new Error(`function ${index} of PGlite's WebAssembly does not check its pid once`);
  const body = module.body(index);
  const load = [...constant(module.exportedAddress("MyProcPid")), Op.i32Load, 2, 0];
  const end = at.offset + constant(constantPid).length;
  module.replaceBody(index, concat([body.subarray(0, at.offset), load, body.subarray(end)]));
}

/**
 * libc's `kill`: the function that `procsignal_sigusr1_handler` calls with SIGTERM (15). Verified by its body, which knows
 * PGlite's only pid, 42.
 */
function locateKill(locator: Locator): number {
  const handler = locator.module.exportedFunction("procsignal_sigusr1_handler");
  const code = locator.code(handler);
  const callees = code.flatMap(({ op, operand }, at) => {
    const next = code[at + 1];
    return op === Op.i32Const && operand === 15 && next?.op === Op.call ? [next.operand] : [];
  });
  const kill = only([...new Set(callees)], "kill(), called with SIGTERM by procsignal_sigusr1_handler");
  locator.operandOf(kill, [{ op: Op.i32Const, operand: constantPid }], "the only pid, in kill()");
  return kill;
}

/**
 * libc's `sbrk`, from which malloc takes all memory: the one function that malloc calls and that knows where the break is.
 * Verified by what it does with a break of 0, for which it takes the address of the heap's start.
 */
function locateSbrk(locator: Locator): number {
  const { module } = locator;
  const pointer = module.exportedFunction("emscripten_get_sbrk_ptr");
  const [first] = locator.code(pointer);
  if (first?.op !== Op.i32Const) throw new Error("emscripten_get_sbrk_ptr does not begin with the break's address");
  const isAddress = { op: Op.i32Const, operand: first.operand };
  const initialized = [isAddress, Op.i32Load, Op.i32EqualZero, Op.if, isAddress, Op.i32Const, Op.i32Store, Op.end];
  const callees = new Set(locator.calls(module.exportedFunction("malloc")));
  const found = [...callees].filter((index) => {
    if (index < module.importedFunctions || index === pointer) return false;
    const code = locator.code(index);
    return code.some((_, at) => locator.matches(code, at, initialized));
  });
  return only(found, "sbrk(), which moves the break");
}

function locateVariables(locator: Locator): Omit<Located["addresses"], "checkpointerShared" | "snapshots"> {
  const { module } = locator;
  // `pqsignal_handlers[signo] = func`: the address that is added to the scaled signal number.
  const pqsignal = module.exportedFunction("pqsignal_be");
  const signalHandlers = locator.operandOf(pqsignal, [Op.i32Shl, Op.i32Const, Op.i32Add], "pqsignal_handlers", 1);
  // Each starts with `if (…_index >= MAX_ON_EXITS)`; on_proc_exit has no export but a message of its own.
  const registrars = [
    module.exportedFunction("before_shmem_exit"),
    module.exportedFunction("on_shmem_exit"),
    locator.functionByStrings("out of on_proc_exit slots"),
  ];
  const exitCallbackCounts = registrars.map((index) => {
    const code = locator.code(index);
    if (code[0]?.op !== Op.i32Const || code[1]?.op !== Op.i32Load) {
      throw new Error("PGlite's WebAssembly has no counter at the start of on_proc_exit and its like");
    }
    return code[0].operand;
  });
  const catalogSnapshot = locateCatalogSnapshot(locator);
  const localLatch = locateLocalLatch(locator);
  return { signalHandlers, exitCallbackCounts, catalogSnapshot, localLatch, ...locateTables(locator) };
}

/** `hash_seq_init(&status, guc_hashtab)` in MarkGUCPrefixReserved; `if (!prepared_queries) InitQueryHashTable()` in StorePreparedStatement. */
function locateTables(locator: Locator): Pick<Located["addresses"], "settings" | "preparedStatements"> {
  const { module } = locator;
  const scan = { op: Op.call, operand: module.exportedFunction("hash_seq_init") };
  return {
    settings: locator.operandOf(
      module.exportedFunction("MarkGUCPrefixReserved"),
      [Op.i32Const, Op.i32Load, scan],
      "guc_hashtab, scanned in MarkGUCPrefixReserved",
    ),
    preparedStatements: locator.operandOf(
      locator.functionByStrings("Prepared Queries"),
      [Op.i32Const, Op.i32Load, Op.localTee, Op.i32EqualZero, Op.if],
      "prepared_queries, looked at in StorePreparedStatement",
    ),
  };
}

/**
 * `InvalidateCatalogSnapshotConditionally` (utils/time/snapmgr.c), which the compiler has put into PGlite's part of the main
 * loop: `if (CatalogSnapshot && ActiveSnapshot == NULL && pairingheap_is_singular(&RegisteredSnapshots))`.
 */
function locateCatalogSnapshot(locator: Locator): number {
  const isNull = [Op.i32Const, Op.i32Load, Op.localTee, Op.i32EqualZero, Op.brIf];
  return locator.operandOf(
    locator.module.exportedFunction("PostgresMainLoopOnce"),
    [...isNull, Op.i32Const, Op.i32Load, Op.brIf, ...isNull, Op.localGet, Op.i32Load, Op.brIf],
    "CatalogSnapshot, looked at in PostgresMainLoopOnce",
  );
}

/** `MyLatch = &LocalLatchData` in SwitchBackToLocalLatch, which ProcKill calls. */
function locateLocalLatch(locator: Locator): number {
  const { module } = locator;
  const assignment = [
    { op: Op.i32Const, operand: module.exportedAddress("MyLatch") },
    Op.i32Const,
    Op.localTee,
    Op.i32Store,
  ];
  const hits = locator.calls(processKill(locator)).flatMap((index) => {
    if (index < module.importedFunctions) return [];
    const code = locator.code(index);
    return code.flatMap((_, at) => (locator.matches(code, at, assignment) ? [code[at + 1]!.operand] : []));
  });
  return only([...new Set(hits)], "LocalLatchData, assigned to MyLatch by a function that ProcKill calls");
}

function processKill(locator: Locator): number {
  return locator.functionByStrings("ProcKill() called in child process");
}
