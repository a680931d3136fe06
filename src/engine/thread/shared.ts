/**
 * One PostgreSQL session for all clients: PGlite as it is, on shared memory.
 *
 * Owns: booting it and running one run after the other. Does not own: a run (`backend.ts`).
 * Invariant: nobody but `Backend` enters PostgreSQL between the boot and the close.
 */
import type { Extensions } from "@electric-sql/pglite";
import { type EngineChannel, RecordKind } from "../channel.ts";
import { Backend } from "./backend.ts";
import { findTimeouts, type InterruptAddresses, Interrupts } from "./interrupts.ts";
import type { ThreadOptions } from "./protocol.ts";
import { shareMemories } from "./shared-memory.ts";

/** Boots PGlite. Rejects with PGlite's own error, or when its memory is not shared. */
export async function bootShared({ dataDir, fsync }: ThreadOptions, extensions: Extensions, channel: EngineChannel) {
  shareMemories();
  const { PGlite } = await import("@electric-sql/pglite");
  const { openDirectoryFiles } = await import("../directory-files.ts");
  const files = dataDir === "memory://" ? { dataDir } : openDirectoryFiles({ path: dataDir, fsync });
  const pglite = await PGlite.create({ ...files, extensions });
  const { Module: postgres } = pglite;
  const memory: ArrayBuffer | SharedArrayBuffer = postgres.HEAPU8.buffer;
  if (!(memory instanceof SharedArrayBuffer)) throw new Error("PGlite's memory is not shared");
  const addresses = interruptAddresses(postgres as unknown as Record<string, unknown>, memory);
  const backend = new Backend(postgres, channel, new Interrupts(memory, addresses));
  // Engine: PGlite throws for a command of the system (COPY … TO PROGRAM), and a throw ends PostgreSQL for everyone. No
  // pipe at all is an error of the statement.
  postgres._pgl_set_popen_fn(postgres.addFunction(() => 0, "ppp"));
  return {
    ready: { kind: "ready" as const, memory, addresses },
    run: async () => runUntilClosed(backend, channel),
    close: () => pglite.close(),
  };
}

function runUntilClosed(backend: Backend, channel: EngineChannel): void {
  for (;;) {
    const record = channel.next();
    const { kind, run } = record;
    channel.take(record);
    if (kind === RecordKind.close) return;
    if (kind === RecordKind.run) backend.run(run);
    if (kind === RecordKind.startup) backend.startup(run);
  }
}

function interruptAddresses(globals: Record<string, unknown>, memory: SharedArrayBuffer): InterruptAddresses {
  const address = (name: string): number => {
    const value = globals[`_${name}`];
    if (typeof value === "number") return value;
    throw new Error(`this PGlite does not export the address of PostgreSQL's ${name}`);
  };
  return {
    interruptPending: address("InterruptPending"),
    queryCancelPending: address("QueryCancelPending"),
    myLatch: address("MyLatch"),
    allTimeouts: findTimeouts(memory),
  };
}
