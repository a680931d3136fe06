/**
 * The streams that a process has open, as data, and opening them again.
 *
 * Owns: which streams can be described. Does not own: the table (`file-descriptors.ts`), the files.
 * Invariant: a stream is opened again under its own number, at its own position; one that cannot be is an error.
 */
import assert from "node:assert/strict";

/** emscripten's streams and its `FS`, as far as they are needed. */
interface OpenStream {
  fd: number;
  readonly path: string;
  readonly flags: number;
  position: number;
  readonly node: { readonly pipe?: object };
}

/** emscripten's `FS`, as far as it is needed. */
export interface StreamSystem {
  streams: (OpenStream | null | undefined)[];
  open(path: string, flags: number): OpenStream;
}

/** A stream. Of a pipe there are two, the end to read from first. */
export interface StreamRecord {
  readonly fd: number;
  readonly path: string;
  readonly flags: number;
  readonly position: number;
  readonly isPipe: boolean;
}

/** Every process has them from the beginning. */
const standardStreams = 3;
/** O_CREAT, O_EXCL, O_TRUNC as emscripten has them. */
const makesAnew = 0o100 | 0o200 | 0o1000;

/** The streams of a table but the standard ones. */
export function describeStreams(streams: StreamSystem["streams"]): StreamRecord[] {
  return streams.flatMap((stream, fd) => {
    if (!stream || fd < standardStreams) return [];
    const { path, flags, position, node } = stream;
    return [{ fd, path, flags, position: position ?? 0, isPipe: node.pipe !== undefined }];
  });
}

/** Opens those that are not open. `makePipe` makes a pipe of the two lowest numbers that are free. */
export function openAgain(system: StreamSystem, records: readonly StreamRecord[], makePipe: () => void): void {
  for (const { fd, path, flags, position, isPipe } of records) {
    const there = system.streams[fd];
    if (there) {
      assert(there.path === path && there.flags === flags, "a number stands for one stream");
      continue;
    }
    if (isPipe) {
      makePipe();
      const made = system.streams[fd];
      assert(made?.path === path && made.flags === flags, "a pipe has the numbers that it had");
      continue;
    }
    const opened = system.open(path, flags & ~makesAnew);
    system.streams[opened.fd] = null;
    opened.fd = fd;
    opened.position = position;
    system.streams[fd] = opened;
  }
}
