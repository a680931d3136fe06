/**
 * A session's open files.
 *
 * Owns: the table of emscripten's file system that a session has while it is loaded. Does not own: the files.
 * Mirrors fork(2) and exit(2): a new session gets its own copies of the streams that were open when it was made, and all
 * that it has open is closed when it ends.
 */

/** emscripten's stream, as far as it is needed. */
interface Stream {
  readonly stream_ops?: { dup?: (stream: Stream) => void } | undefined;
}

/** emscripten's `FS`, as far as it is needed. */
export interface FileSystem {
  streams: (Stream | null | undefined)[];
  close(stream: Stream): void;
}

/** A table of streams. */
export class FileDescriptors {
  readonly #files: FileSystem;
  #streams: FileSystem["streams"];

  constructor(files: FileSystem, streams: FileSystem["streams"] = files.streams) {
    this.#files = files;
    this.#streams = streams;
  }

  /** As they were when they were last saved. */
  get streams(): FileSystem["streams"] {
    return this.#streams;
  }

  /** A copy with streams of its own on the same open files. */
  fork(): FileDescriptors {
    const copies = this.#streams.map((stream) => {
      if (!stream) return stream;
      const copy = Object.assign(Object.create(Object.getPrototypeOf(stream)), stream) as Stream;
      copy.stream_ops?.dup?.(copy);
      return copy;
    });
    return new FileDescriptors(this.#files, copies);
  }

  /** The table, which is the loaded one and has been closed, has streams on the same open files as another one. */
  become(other: FileDescriptors): void {
    this.#streams = other.fork().streams;
    this.load();
  }

  save(): void {
    this.#streams = this.#files.streams;
  }

  load(): void {
    this.#files.streams = this.#streams;
  }

  /** As `closeAll`, for a table that is not loaded. */
  closeWhileAway(): void {
    const { streams } = this.#files;
    this.load();
    this.closeAll();
    this.#files.streams = streams;
  }

  /** Closes every stream; the table must be the loaded one. */
  closeAll(): void {
    for (const stream of this.#files.streams) if (stream) this.#files.close(stream);
  }
}
