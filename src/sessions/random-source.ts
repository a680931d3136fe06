/**
 * Where PostgreSQL gets its random numbers from: the system, or a seed.
 *
 * Owns: what each session draws when there is a seed. Does not own: PostgreSQL's own generators, which begin with what they draw here
 * (`pg_strong_random`, `pg_global_prng_state`).
 * Invariant: the n-th client's session that begins draws the same for the same seed, whatever the others do meanwhile; so does the n-th of
 * each of the server's own.
 */
import { createHash } from "node:crypto";

/** The pids of clients' sessions are above it; the others have one each. */
const lastOwnPid = 1000;

/** How many bytes are asked of the system at once: asking takes a session's start longer than anything else of its first steps. */
const systemBytes = 4096;

interface Stream {
  readonly name: string;
  blocks: number;
  /** What has been made and not drawn. */
  rest: Buffer;
}

/** emscripten's `FS`, as far as it is needed. */
interface Devices {
  unlink(path: string): void;
  createDevice(directory: string, name: string, input: () => number): unknown;
}

/** See the head of the file. */
export class RandomSource {
  /** Who draws now. */
  readonly #pid: () => number;
  #seed: number | undefined;
  readonly #begun = new Map<number, number>();
  readonly #streams = new Map<number, Stream>();
  /** What the system has given and nobody has drawn. */
  #system: Uint8Array = new Uint8Array(0);

  constructor(pid: () => number) {
    this.#pid = pid;
  }

  /** From now on; sessions that have begun before go on without. `files` has PostgreSQL's devices. */
  useSeed(seed: number, files: unknown): void {
    this.#seed = seed;
    const devices = files as Devices;
    // Engine: emscripten fills these devices from the system, not through `random_get`.
    for (const name of ["random", "urandom"]) {
      devices.unlink(`/dev/${name}`);
      devices.createDevice("/dev", name, () => (this.draw(1) ?? crypto.getRandomValues(new Uint8Array(1)))[0]!);
    }
  }

  /** A process begins. */
  begin(pid: number): void {
    if (this.#seed === undefined) return;
    const kind = Math.min(pid, lastOwnPid + 1);
    const count = (this.#begun.get(kind) ?? 0) + 1;
    this.#begun.set(kind, count);
    this.#streams.set(pid, { name: `${this.#seed} ${kind} ${count}`, blocks: 0, rest: Buffer.alloc(0) });
  }

  /** It has ended. */
  end(pid: number): void {
    this.#streams.delete(pid);
  }

  /** What the process that runs begins its own generator with: of a seed, or of the system. None of it is drawn twice. */
  beginning(length: number): Uint8Array {
    const drawn = this.draw(length);
    if (drawn) return drawn;
    if (this.#system.length < length)
      this.#system = crypto.getRandomValues(new Uint8Array(Math.max(length, systemBytes)));
    const given = this.#system.subarray(0, length);
    this.#system = this.#system.subarray(length);
    return given;
  }

  /** What the process that runs draws; undefined where it is the system's. */
  draw(length: number): Uint8Array | undefined {
    if (this.#seed === undefined) return undefined;
    const stream = this.#streams.get(this.#pid());
    if (!stream) return undefined;
    while (stream.rest.length < length) {
      const block = createHash("sha256")
        .update(`${stream.name} ${stream.blocks++}`)
        .digest();
      stream.rest = Buffer.concat([stream.rest, block]);
    }
    const drawn = stream.rest.subarray(0, length);
    stream.rest = stream.rest.subarray(length);
    return drawn;
  }
}
