/**
 * PostgreSQL as it is when it has booted, as data: what a start can begin with instead of a boot.
 *
 * Owns: what belongs to it, and taking it. Does not own: its file (`snapshot-file.ts`), when it can be used
 * (`snapshot-cache.ts`), what a start makes of it (`restore.ts`).
 * Taken when the process itself has booted and before any other begins, so that no stack is parked and nobody has written
 * anything: there is no user's data in it. In it are the template, of which all processes are forks, and the process's own
 * memory by what differs from it; shared memory; the files of the data directory; the streams that are open; what the
 * dynamic linker did.
 * Invariant: what cannot be described is an error here, and nothing is taken.
 */
import assert from "node:assert/strict";
import { type Cluster, type ClusterFile, withoutZerosAtEnd } from "../../cluster/cluster-archive.ts";
import { unreadContents } from "../../cluster/memory-nodes.ts";
import type { ParsedRules } from "../access-rules.ts";
import type { BootedPostgres } from "../boot.ts";
import { granuleBytes } from "../granule-code.ts";
import type { LinkStep } from "../linked-libraries.ts";
import { describeStreams, type StreamRecord, type StreamSystem } from "../open-streams.ts";
import { commonRanges, type MemoryMap, programBreak, type Range, stackEnd } from "../private-memory.ts";

/** What is all zeros is left out in pieces of it. */
const pageBytes = 4096;
const zeros = Buffer.alloc(pageBytes);

/** What is known of it beside its memory and its files. Numbers are addresses and lengths in bytes. */
export interface SnapshotFacts {
  /** When the boot began, as a time of `Date.now()`, and when it was over. */
  readonly began: number;
  readonly ended: number;
  readonly map: MemoryMap;
  /** How large the linear memory was. */
  readonly memoryBytes: number;
  readonly timeouts: number;
  /** In its memory, one behind the other: ranges that are not all zeros, first those of the template; */
  readonly ranges: readonly (readonly [address: number, length: number])[];
  readonly templateRanges: number;
  /** the granules of common memory that differ from it in the process itself; */
  readonly granules: readonly number[];
  /** the stack of the template and of the process itself, from the pointer to the end. */
  readonly stacks: readonly [template: number, own: number];
  readonly window: readonly Range[];
  readonly steps: readonly LinkStep[];
  readonly postmasterStreams: readonly StreamRecord[];
  readonly ownStreams: readonly StreamRecord[];
  readonly workingDirectory: string;
  /** See `AccessRules.parsed`. */
  readonly accessRules: ParsedRules | undefined;
}

/** See the head of the file. */
export interface BootSnapshot {
  readonly facts: SnapshotFacts;
  readonly memory: Uint8Array;
  readonly cluster: Omit<Cluster, "close">;
}

/** emscripten's `FS`, as far as it is needed. */
interface Files extends StreamSystem {
  readdir(path: string): string[];
  lookupPath(path: string): { readonly node: { readonly mode: number; readonly usedBytes: number } };
  isDir(mode: number): boolean;
  isFile(mode: number): boolean;
  readFile(path: string): Uint8Array;
  cwd(): string;
}

/** Takes it. Throws where that cannot be. `began` is when the boot did. */
export function takeSnapshot(booted: BootedPostgres, began: number, dataDirectory: string): BootSnapshot {
  const { machine, map, postmaster, window, process } = booted;
  const files = booted.files as unknown as Files;
  assert(machine.libraries.missing === undefined, machine.libraries.missing);
  const memory = new Pages();
  const { granules } = postmaster.template;
  for (const range of commonRanges(map)) memory.add(range, granules.templateOf(range), range.start);
  const templateRanges = memory.ranges.length;
  const whole = machine.bytes;
  for (const range of [...outsideTemplate(map), ...window.extents]) memory.add(range, whole, 0);
  const changed = granules.changed();
  for (const address of changed) memory.put(whole.subarray(address, address + granuleBytes));
  const stack = machine.function("emscripten_stack_get_current")();
  memory.put(postmaster.template.stackBytes);
  memory.put(whole.subarray(stack, stackEnd(machine)));
  const last = window.extents.at(-1);
  assert(last && programBreak(machine) <= last.end, "the process allocates in its window");
  return {
    facts: {
      began,
      ended: Date.now(),
      map,
      memoryBytes: whole.length,
      timeouts: process.timeouts,
      ranges: memory.ranges,
      templateRanges,
      granules: changed,
      stacks: [postmaster.template.stack, stack],
      window: window.extents.map(({ start, end }) => ({ start, end })),
      // A session may load more before this is written.
      steps: [...machine.libraries.steps],
      postmasterStreams: describeStreams(postmaster.files.streams as StreamSystem["streams"]),
      ownStreams: describeStreams(files.streams),
      workingDirectory: files.cwd(),
      accessRules: machine.accessRules?.parsed,
    },
    memory: memory.join(),
    cluster: takeCluster(files, dataDirectory),
  };
}

/** The common memory that is the same for all, and no part of the template. */
function outsideTemplate({ sharedStart, sharedEnd, controlStart, controlEnd }: MemoryMap): Range[] {
  return [
    { start: sharedStart, end: sharedEnd },
    { start: controlStart, end: controlEnd },
  ];
}

/** Parts of the memory, which are copied once. */
class Pages {
  readonly ranges: [number, number][] = [];
  readonly #parts: Uint8Array[] = [];

  /** What is not zero of a range, which lies in `bytes`; the address of its first byte is `from`. */
  add({ start, end }: Range, bytes: Uint8Array, from: number): void {
    const buffer = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    let first = start;
    const close = (at: number) => {
      if (first < at) {
        this.ranges.push([first, at - first]);
        this.put(bytes.subarray(first - from, at - from));
      }
    };
    for (let at = start; at < end; at += pageBytes) {
      if (buffer.compare(zeros, 0, pageBytes, at - from, at - from + pageBytes) !== 0) continue;
      close(at);
      first = at + pageBytes;
    }
    close(end);
  }

  put(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  join(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** The data directory as it is now. What nobody has opened is read when it is asked for. */
function takeCluster(files: Files, root: string): Omit<Cluster, "close"> {
  const directories: string[] = [];
  const found: ClusterFile[] = [];
  const walk = (prefix: string): void => {
    for (const entry of files.readdir(`${root}/${prefix}`)) {
      if (entry === "." || entry === "..") continue;
      const name = `${prefix}${entry}`;
      const { node } = files.lookupPath(`${root}/${name}`);
      if (files.isDir(node.mode)) {
        directories.push(name);
        walk(`${name}/`);
        continue;
      }
      assert(files.isFile(node.mode), "in a data directory in memory there are files and directories");
      const read = unreadContents(node);
      if (read) found.push({ name, size: node.usedBytes, read });
      else {
        const whole = files.readFile(`${root}/${name}`);
        // Most of a WAL segment is zeros.
        const contents = withoutZerosAtEnd(whole).slice();
        found.push({ name, size: whole.length, read: () => contents });
      }
    }
  };
  walk("");
  return { directories, files: found };
}
