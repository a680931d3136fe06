/**
 * Beginning with a snapshot instead of a boot: what comes of it is as if PostgreSQL had booted just now.
 *
 * Owns: the order in which a process is made of a snapshot, and what is made anew at each start: the system identifier, the times
 * of the boot, the random state. Does not own: what is in a snapshot (`boot-snapshot.ts`), where it comes from.
 * How: PGlite's runtime is made without PostgreSQL; the libraries are linked as they were; the memory is that of the template
 * first, of which the store gets its copy, and then that of the process itself.
 * Invariant: it throws rather than going on with what is not as the snapshot says.
 */
import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import type { Cluster } from "../cluster-archive.ts";
import { identifiedAnew, identifierOf } from "../cluster-identity.ts";
import { MemoryFiles } from "../memory-files.ts";
import type { RewrittenPostgres } from "../module-cache.ts";
import { Hook } from "../rewrite/hooks.ts";
import { ServerLog } from "../server-log.ts";
import { AccessRules } from "./access-rules.ts";
import { type BootedPostgres, refuseCommands } from "./boot.ts";
import type { SnapshotFacts } from "./boot-snapshot.ts";
import { FileDescriptors, type FileSystem } from "./file-descriptors.ts";
import { granuleBytes } from "./granule-code.ts";
import { instantiateAsMachine, machineOf } from "./instantiate.ts";
import type { Machine } from "./machine.ts";
import { openAgain, type StreamSystem } from "./open-streams.ts";
import { PostgresProcess } from "./postgres-process.ts";
import { becomePostmaster } from "./postmaster-memory.ts";
import { commonRanges, programBreak, stackEnd } from "./private-memory.ts";
import { Window } from "./windows.ts";

/** Milliseconds from 1970 to 2000, from where on PostgreSQL counts microseconds. */
export const postgresEpochMs = Date.UTC(2000, 0, 1);

/** A snapshot that was kept. */
export interface KeptSnapshot {
  readonly facts: SnapshotFacts;
  /** Its own; it is changed. */
  readonly memory: Buffer;
  /** Where in it there are times that the boot took for the present, and the system identifier. */
  readonly times: readonly number[];
  readonly identifiers: readonly number[];
  readonly cluster: Cluster;
}

type Files = FileSystem & StreamSystem & { chdir(path: string): void; close(stream: unknown): void };

/** Makes a PostgreSQL of it. Rejects where that does not come to what it was. */
export async function restorePostgres(
  { facts, memory, times, identifiers, cluster }: KeptSnapshot,
  { module, located }: RewrittenPostgres,
  maxSessions: number,
): Promise<BootedPostgres> {
  const nowMs = Date.now();
  const fresh = startedAt(nowMs, identifiedAnew(cluster));
  for (const at of times) memory.writeBigInt64LE(BigInt(nowMs - postgresEpochMs) * 1000n, at);
  const identifier = identifierOf(fresh);
  for (const at of identifiers) memory.writeBigUInt64LE(identifier, at);

  const log = new ServerLog();
  const hook = (first: number, second: number, kind: number) => (kind === Hook.sbrk ? first : second);
  const calls = () => ({ hook, read: () => 0, write: (_: number, length: number) => length });
  instantiateAsMachine(module, { located, calls, replaysLibraries: true });
  const memoryFiles = new MemoryFiles(fresh);
  const options = {
    fs: memoryFiles,
    pgliteWasmModule: module as unknown as object,
    onStderr: log.onStderr,
    noInitDb: true,
    initialMemory: facts.memoryBytes,
  };
  const pglite = new PGlite(options as ConstructorParameters<typeof PGlite>[0]);
  await pglite.waitReady;
  const machine = machineOf(pglite.Module.HEAPU8);
  machine.bundled.files = pglite.Module.FS;
  const files = pglite.Module.FS as unknown as Files;
  machine.libraries.replay(facts.steps, () => refuseCommands(machine, pglite));
  files.chdir(facts.workingDirectory);
  const { accessRules } = facts;
  if (accessRules) machine.accessRules = new AccessRules(pglite.Module.FS, accessRules.path, accessRules.text);
  const streams = openStreams(machine, files, facts);
  const parts = new MemoryParts(facts, memory);
  parts.putTemplate(machine);
  const postmaster = becomePostmaster(machine, facts.map);
  const window = new Window();
  postmaster.windows.adopt(window, facts.window);
  parts.putOwn(machine);
  machine.write(machine.address("pg_global_prng_state"), crypto.getRandomValues(new Uint8Array(16)));
  assert(programBreak(machine) <= facts.window.at(-1)!.end, "the process allocates in its window");
  const { map, template, windows } = postmaster;
  return {
    ...{ pglite, machine, map, located, windows, window, files, copying: memoryFiles.copying, maxSessions, log },
    postmaster: { template, files: streams },
    process: new PostgresProcess(machine, located, facts.timeouts),
  };
}

/** PostgreSQL's own file about the server that runs; its third line is when it was started, in seconds (LOCK_FILE_LINE_START_TIME). */
function startedAt(nowMs: number, cluster: Cluster): Cluster {
  const files = cluster.files.map((file) => {
    if (file.name !== "postmaster.pid") return file;
    const lines = Buffer.from(file.read()).toString("latin1").split("\n");
    lines[2] = String(Math.floor(nowMs / 1000));
    const contents = Buffer.from(lines.join("\n"), "latin1");
    return { ...file, size: contents.length, read: () => contents };
  });
  return { ...cluster, files };
}

/** Opens the streams of the process itself. Answers those of the postmaster, of which it has all still. */
function openStreams(machine: Machine, files: Files, facts: SnapshotFacts): FileDescriptors {
  // What lies there is put there later.
  const ends = facts.map.sharedStart;
  const makePipe = () => assert(machine.pipe(ends, 0) === 0, "a pipe can be made");
  openAgain(files, facts.postmasterStreams, makePipe);
  const postmaster = new FileDescriptors(files).fork();
  openAgain(files, facts.ownStreams, makePipe);
  machine.words.fill(0, ends >> 2, (ends >> 2) + 2);
  return postmaster;
}

/** The parts of a snapshot's memory, in their order; see `SnapshotFacts`. */
class MemoryParts {
  readonly #facts: SnapshotFacts;
  readonly #memory: Buffer;
  #at = 0;
  #templateStack: Uint8Array;
  #ownStack: Uint8Array;

  constructor(facts: SnapshotFacts, memory: Buffer) {
    this.#facts = facts;
    this.#memory = memory;
    const [template, own] = facts.stacks.map((stack) => facts.map.stackEnd - stack) as [number, number];
    this.#ownStack = memory.subarray(memory.length - own);
    this.#templateStack = memory.subarray(memory.length - own - template, memory.length - own);
  }

  /** The memory as it was when PostgresMain began, and what is the same for all. */
  putTemplate(machine: Machine): void {
    const { map, ranges, stacks } = this.#facts;
    const { bytes } = machine;
    assert(stackEnd(machine) === map.stackEnd, "the stack is where it was");
    assert(programBreak(machine) <= map.sharedStart, "nothing has been allocated where shared memory was");
    for (const { start, end } of commonRanges(map)) bytes.fill(0, start, end);
    for (const [address, length] of ranges) bytes.set(this.#take(length), address);
    bytes.set(this.#templateStack, stacks[0]);
    machine.function("_emscripten_stack_restore")(stacks[0]);
  }

  /** What is the process's own. */
  putOwn(machine: Machine): void {
    for (const address of this.#facts.granules) machine.write(address, this.#take(granuleBytes));
    assert(this.#at + this.#templateStack.length + this.#ownStack.length === this.#memory.length, "that is all of it");
    machine.bytes.set(this.#ownStack, this.#facts.stacks[1]);
    machine.function("_emscripten_stack_restore")(this.#facts.stacks[1]);
  }

  #take(length: number): Uint8Array {
    this.#at += length;
    return this.#memory.subarray(this.#at - length, this.#at);
  }
}
