/**
 * For tests: looks at all memory at every switch.
 *
 * Owns: a copy of each waiting session's window; its place is kept for the next one, because new memory costs far more than the
 * copying. Does not own: the comparison of what is common (`granules.ts`).
 * Throws when an image would not get all that has changed, or when a session's own memory is not as it left it.
 */
import type { Image } from "./image.ts";
import type { Machine } from "./machine.ts";
import type { Window } from "./windows.ts";

/** Whose memory is looked at. */
interface Checked {
  readonly image: Image;
  readonly window: Window;
}

/** An extent as it was. */
interface Copy {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** See the head of the file. */
export class ImageCheck {
  readonly #machine: Machine;
  /** By window; that of the loaded session is old. */
  readonly #copies = new WeakMap<Window, readonly Copy[]>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** To be called before the loaded session is saved. */
  leave({ image, window }: Checked): void {
    const overlooked = image.overlooked().map((address) => `0x${address.toString(16)}`);
    if (overlooked.length > 0) {
      throw new Error(`memory of the loaded session has changed without a mark: ${overlooked.join(", ")}`);
    }
    const { bytes } = this.#machine;
    const old = this.#copies.get(window) ?? [];
    const copies = window.extents.map(({ start, end }, index) =>
      copyInto(old[index], start, bytes.subarray(start, end)),
    );
    this.#copies.set(window, copies);
  }

  /** To be called when a session has been loaded. */
  enter({ image, window }: Checked): void {
    const wrong = image.overlooked().map((address) => `0x${address.toString(16)}`);
    if (wrong.length > 0) throw new Error(`memory is not as it was saved: ${wrong.join(", ")}`);
    for (const { start, bytes } of this.#copies.get(window) ?? []) {
      const now = this.#machine.bytes.subarray(start, start + bytes.length);
      if (window.isClosed || Buffer.compare(now, bytes) === 0) continue;
      throw new Error(`somebody has written to another session's memory at 0x${start.toString(16)} or behind it`);
    }
  }
}

/** A copy, in the place of an old one if it has room. */
function copyInto(old: Copy | undefined, start: number, now: Uint8Array): Copy {
  const room = old?.bytes.buffer;
  const bytes =
    room && room.byteLength >= now.length ? new Uint8Array(room, 0, now.length) : new Uint8Array(now.length);
  bytes.set(now);
  return { start, bytes };
}
