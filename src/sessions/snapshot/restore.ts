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
import type { Cluster } from "../../cluster/cluster-archive.ts";
import { identifiedAnew, identifierOf } from "../../cluster/cluster-identity.ts";
import { MemoryFiles } from "../../cluster/memory-files.ts";
import type { PackageFiles } from "../../cluster/package-files.ts";
import { AccessRules } from "../access-rules.ts";
import { type BootedPostgres, refuseCommands } from "../boot.ts";
import { FileDescriptors, type FileSystem } from "../file-descriptors.ts";
import { granuleBytes } from "../granule-code.ts";
import { instantiateAsMachine, machineOf } from "../instantiate.ts";
import type { Machine } from "../machine.ts";
import type { RewrittenPostgres } from "../module/module-cache.ts";
import { openAgain, type StreamSystem } from "../open-streams.ts";
import { PostgresProcess } from "../postgres-process.ts";
import { becomePostmaster } from "../postmaster-memory.ts";
import { commonRanges, programBreak, stackEnd } from "../private-memory.ts";
import { Hook } from "../rewrite/hooks.ts";
import { ServerLog } from "../server-log.ts";
import { Window } from "../windows.ts";
import type { SnapshotFacts } from "./boot-snapshot.ts";

/** Milliseconds from 1970 to 2000, from where on PostgreSQL counts microseconds. */
export const postgresEpochMs = Date.UTC(2000, 0, 1);

/** The memory of a snapshot. It is read to where it belongs: ten megabytes that were anywhere else before would be touched twice. */
interface KeptMemory {
  readonly length: number;
  /** Fills `target` with what lies at `at`. */
  read(at: number, target: Uint8Array): void;
}

/** A snapshot that was kept. */
export interface KeptSnapshot {
  readonly facts: SnapshotFacts;
  readonly memory: KeptMemory;
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
  packageFiles: PackageFiles,
  maxSessions: number,
): Promise<BootedPostgres> {
  const nowMs = Date.now();
  const fresh = startedAt(nowMs, identifiedAnew(cluster));
  const time = BigInt(nowMs - postgresEpochMs) * 1000n;
  const identifier = identifierOf(fresh);
  const log = new ServerLog();
  const hook = (first: number, second: number, kind: number) => (kind === Hook.sbrk ? first : second);
  const calls = () => ({ hook, read: () => 0, write: (_: number, length: number) => length });
  instantiateAsMachine(module, { located, calls, replaysLibraries: true });
  const memoryFiles = new MemoryFiles(fresh, packageFiles);
  const options = {
    fs: memoryFiles,
    fsBundle: packageFiles.bundle,
    pgliteWasmModule: module as unknown as object,
    onStderr: log.onStderr,
    noInitDb: true,
    initialMemory: facts.memoryBytes,
  };
  const pglite = new PGlite(options as ConstructorParameters<typeof PGlite>[0]);
  await pglite.waitReady;
  const machine = machineOf(pglite.Module.HEAPU8);
  machine.bundled.files = machine.bundled.filesForIcu = pglite.Module.FS;
  const files = pglite.Module.FS as unknown as Files;
  machine.libraries.replay(facts.steps, () => refuseCommands(machine, pglite));
  files.chdir(facts.workingDirectory);
  const { accessRules } = facts;
  if (accessRules) machine.accessRules = new AccessRules(pglite.Module.FS, accessRules.path, accessRules.text);
  const streams = openStreams(machine, files, facts);
  const parts = new MemoryParts(machine, facts, memory);
  for (const at of times) parts.change(at, time);
  for (const at of identifiers) parts.change(at, identifier);
  parts.putTemplate();
  const postmaster = becomePostmaster(machine, facts.map);
  const window = new Window();
  postmaster.windows.adopt(window, facts.window);
  parts.putOwn();
  machine.write(machine.address("pg_global_prng_state"), crypto.getRandomValues(new Uint8Array(16)));
  assert(programBreak(machine) <= facts.window.at(-1)!.end, "the process allocates in its window");
  const { map, template, windows } = postmaster;
  return {
    ...{ pglite, machine, map, located, windows, window, files, copying: memoryFiles.copying, maxSessions, log },
    inMemory: true,
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
    return { name: file.name, size: contents.length, read: () => contents };
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
  readonly #machine: Machine;
  readonly #facts: SnapshotFacts;
  readonly #memory: KeptMemory;
  /** How much of it lies in ranges, which come first; they are put where they belong at once, */
  readonly #rangeBytes: number;
  /** what is behind them a little later. */
  readonly #rest: Uint8Array;
  readonly #changes: { readonly at: number; readonly value: bigint }[] = [];

  constructor(machine: Machine, facts: SnapshotFacts, memory: KeptMemory) {
    this.#machine = machine;
    this.#facts = facts;
    this.#memory = memory;
    this.#rangeBytes = facts.ranges.reduce((sum, [, length]) => sum + length, 0);
    this.#rest = new Uint8Array(memory.length - this.#rangeBytes);
  }

  /** What is at `at` is to be another number of 8 bytes. To be called before anything is put. */
  change(at: number, value: bigint): void {
    this.#changes.push({ at, value });
  }

  /** The memory as it was when PostgresMain began, and what is the same for all. */
  putTemplate(): void {
    const machine = this.#machine;
    const { map, ranges, stacks } = this.#facts;
    const { bytes } = machine;
    assert(stackEnd(machine) === map.stackEnd, "the stack is where it was");
    assert(programBreak(machine) <= map.sharedStart, "nothing has been allocated where shared memory was");
    for (const { start, end } of commonRanges(map)) bytes.fill(0, start, end);
    let at = 0;
    for (const [address, length] of ranges) {
      this.#read(at, bytes.subarray(address, address + length));
      at += length;
    }
    this.#read(at, this.#rest);
    bytes.set(this.#rest.subarray(...this.#stacks[0]), stacks[0]);
    machine.function("_emscripten_stack_restore")(stacks[0]);
  }

  /** What is the process's own. */
  putOwn(): void {
    const machine = this.#machine;
    const { granules, stacks } = this.#facts;
    assert(granules.length * granuleBytes === this.#stacks[0][0], "that is all of it");
    for (const [index, address] of granules.entries()) {
      machine.write(address, this.#rest.subarray(index * granuleBytes, (index + 1) * granuleBytes));
    }
    machine.bytes.set(this.#rest.subarray(...this.#stacks[1]), stacks[1]);
    machine.function("_emscripten_stack_restore")(stacks[1]);
  }

  /** Where the stacks are in the rest, the template's and that of the process itself: at the end. */
  get #stacks(): [template: [number, number], own: [number, number]] {
    const { map, stacks } = this.#facts;
    const end = this.#rest.length;
    const own = end - (map.stackEnd - stacks[1]);
    return [
      [own - (map.stackEnd - stacks[0]), own],
      [own, end],
    ];
  }

  #read(from: number, target: Uint8Array): void {
    this.#memory.read(from, target);
    const view = new DataView(target.buffer, target.byteOffset, target.length);
    for (const { at, value } of this.#changes) {
      if (at >= from && at < from + target.length) view.setBigUint64(at - from, BigInt.asUintN(64, value), true);
    }
  }
}
