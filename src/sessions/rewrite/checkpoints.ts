/**
 * The part of the rewrite that gives PostgreSQL its checkpointer and WAL writer back.
 *
 * Owns: making their main functions callable, and asking it for checkpoints where PGlite, a process alone, makes them itself or
 * leaves them out. Does not own: running them (`../auxiliary-process.ts`).
 * Engine: PGlite's RequestCheckpoint always calls CreateCheckPoint, and its XLogWrite never asks for a checkpoint; all else
 * of postmaster/checkpointer.c is in the binary as PostgreSQL has it.
 */
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, functionBody, get, ifTrue, repeatWhile, set } from "./code.ts";
import { Hook } from "./hooks.ts";
import { type Locator, only } from "./locate.ts";

/** `CHECKPOINT_IMMEDIATE` (access/xlog.h). */
const checkpointImmediate = 4;
/** What the hook of RequestCheckpoint answers to have PGlite's own way taken. */
const asPGlite = 1;
/** `WAIT_EVENT_CHECKPOINT_DONE` (utils/wait_event.h): what `pg_stat_activity` shows of whoever waits. */
const checkpointDone = 0x0800_000b;

/** See the head of the file. The result is the address of the variable `CheckpointerShmem`. */
export function rewriteCheckpoints(locator: Locator, hook: number): number {
  const { module } = locator;
  // postmaster/checkpointer.c: the checkpointer's whole life. Verified by a message that no other function has.
  const main = locator.functionByStrings("checkpoints are occurring too frequently (%d second apart)");
  module.addFunctionExport("sessions_CheckpointerMain", main);

  // postmaster/walwriter.c: the WAL writer's. Verified by the name of its memory context.
  module.addFunctionExport("sessions_WalWriterMain", locator.functionByStrings("Wal Writer"));

  rewriteRequest(locator, hook);

  // access/transam/xlog.c, called by XLogWrite when it comes to a new segment. Verified by its own name.
  const newSegment = locator.functionByStrings("XLogFileInit");
  callOnEntry(module, newSegment, [
    ...[get(0), [Op.i32Wrap], get(1), constant(Hook.walSegment), call(hook)],
    [Op.drop],
  ]);

  // tcop/postgres.c, exported: what CHECK_FOR_INTERRUPTS calls. There a session may be made to wait.
  const interrupts = module.exportedFunction("ProcessInterrupts");
  callOnEntry(module, interrupts, [constant(0), constant(0), constant(Hook.interrupts), call(hook), [Op.drop]]);

  // `CheckpointerShmem->checkpointer_pid = MyProcPid`, the first statement of CheckpointerMain after its start.
  return locator.operandOf(
    main,
    [
      Op.i32Const,
      Op.i32Load,
      { op: Op.i32Const, operand: module.exportedAddress("MyProcPid") },
      Op.i32Load,
      Op.i32Store,
    ],
    "CheckpointerShmem, assigned to in CheckpointerMain",
  );
}

/**
 * `RequestCheckpoint(flags)`: the one function that calls CreateCheckPoint with `flags | CHECKPOINT_IMMEDIATE`. From now on
 * it waits, as PostgreSQL's does, for the condition variables that the hook names, until that answers 0; a session that
 * waits so can be cancelled.
 */
function rewriteRequest(locator: Locator, hook: number): void {
  const { module } = locator;
  const pattern = [
    { op: Op.localGet, operand: 0 },
    { op: Op.i32Const, operand: checkpointImmediate },
    Op.i32Or,
    { op: Op.call, operand: locator.functionByStrings("CreateCheckPoint") },
  ];
  const found = module.bodies
    .map((_, at) => at + module.importedFunctions)
    // Longer ones cannot be it, and reading all instructions of all functions takes a second.
    .filter((index) => module.body(index).length < 32 && locator.matches(locator.code(index), 0, pattern));
  const request = only(found, "RequestCheckpoint, which calls CreateCheckPoint");
  const [create = 0, closeFiles = 0] = locator.calls(request);
  const parameter = 0;
  const answer = 1;
  const own = [get(parameter), constant(checkpointImmediate), [Op.i32Or], call(create), [Op.drop], call(closeFiles)];
  const wait = [
    ...[get(answer), constant(checkpointDone), call(module.exportedFunction("ConditionVariableSleep"))],
    ...[get(parameter), constant(0), constant(Hook.awaitCheckpoint), call(hook), set(answer)],
    get(answer),
  ];
  module.replaceBody(
    request,
    functionBody(
      [
        ...[get(parameter), constant(asPGlite), constant(Hook.requestCheckpoint), call(hook), set(answer)],
        ...[get(answer), constant(asPGlite), [Op.i32Equal]],
        ...ifTrue([...own, [Op.return]]),
        get(answer),
        ...ifTrue([...repeatWhile(wait), call(module.exportedFunction("ConditionVariableCancelSleep")), [Op.drop]]),
      ],
      1,
    ),
  );
}
