/**
 * What is kept of a session's memory while another session is loaded.
 *
 * Owns: the stack, and that granules and stack are saved and loaded together. Does not own: when (`scheduler.ts`), the granules
 * themselves (`granules.ts`), what a session has allocated since its fork: that lies at addresses of its own (`windows.ts`).
 * A new image is that of a process that has just been forked. Invariant: the loaded session's image is what is in memory,
 * but for what has been written since and for the stack.
 */
import type { Block } from "./blocks.ts";
import { type Granules, Slot } from "./granules.ts";
import type { Machine } from "./machine.ts";
import { stackEnd } from "./private-memory.ts";

/** A block for a stack is given back when it is so large and would have to be a quarter of it only. */
const largeStackBytes = 1 << 16;

/** The stack as it was at the fork. */
export class Template {
  readonly granules: Granules;
  readonly stack: number;
  readonly stackBytes: Uint8Array;

  /** To be made when `granules` is. */
  constructor(machine: Machine, granules: Granules) {
    this.granules = granules;
    this.stack = machine.function("emscripten_stack_get_current")();
    this.stackBytes = machine.bytes.slice(this.stack, stackEnd(machine));
  }

  restoreStack(machine: Machine): void {
    machine.bytes.set(this.stackBytes, this.stack);
  }
}

/** See the head of the file. */
export class Image {
  readonly #template: Template;
  #slot = new Slot();
  #stack: number;
  /** Where the stack is kept; undefined for the template's. */
  #stackBlock: Block | undefined;
  #isDiscarded = false;

  constructor(template: Template) {
    this.#template = template;
    this.#stack = template.stack;
  }

  /** How many bytes are kept. */
  get size(): number {
    return (this.#slot.block?.bytes ?? 0) + (this.#stackBlock?.bytes ?? 0);
  }

  /**
   * Its session has ended: from its next `save` on it keeps nothing. It may still be loaded, for a call that finds out that
   * the session has ended.
   */
  discard(): void {
    this.#isDiscarded = true;
  }

  /** Takes the memory of the loaded session, whose image this is. */
  save(machine: Machine): void {
    const { granules } = this.#template;
    granules.save(this.#slot);
    if (this.#isDiscarded) this.#release();
    else this.#saveStack(machine);
  }

  /** Puts the memory into the machine, in which that of another session is as it was saved. */
  load(machine: Machine): void {
    const { granules } = this.#template;
    granules.load(this.#slot);
    const end = stackEnd(machine);
    if (this.#stackBlock) granules.code.copyIn(this.#stack, this.#stackBlock.at, end - this.#stack);
    else this.#template.restoreStack(machine);
    machine.function("_emscripten_stack_restore")(this.#stack);
  }

  /** Another one, of what was saved last. */
  copy(): Image {
    const copy = new Image(this.#template);
    copy.become(this);
    return copy;
  }

  /** What is kept is what `other` keeps. */
  become(other: Image): void {
    const { granules } = this.#template;
    this.#release();
    this.#slot = granules.copy(other.#slot);
    this.#stack = other.#stack;
    if (!other.#stackBlock) return;
    this.#stackBlock = granules.blocks.take(other.#stackBlock.bytes);
    granules.code.copyWithin(this.#stackBlock.at, other.#stackBlock.at, other.#stackBlock.bytes);
  }

  /** Its session has ended, and is never loaded again. */
  forget(): void {
    this.discard();
    this.#release();
  }

  /** For tests: the granules of the loaded session, beside its stack, that `save` would not take although they have changed. */
  overlooked(): number[] {
    return this.#template.granules.overlooked(this.#slot);
  }

  #saveStack(machine: Machine): void {
    const { blocks, code } = this.#template.granules;
    this.#stack = machine.function("emscripten_stack_get_current")();
    const bytes = stackEnd(machine) - this.#stack;
    const room = this.#stackBlock?.bytes ?? 0;
    if (room < bytes || (room > largeStackBytes && bytes * 4 < room)) {
      if (this.#stackBlock) blocks.release(this.#stackBlock);
      this.#stackBlock = blocks.take(bytes);
    }
    code.copyOut(this.#stackBlock!.at, this.#stack, bytes);
  }

  #release(): void {
    const { granules } = this.#template;
    granules.release(this.#slot);
    if (this.#stackBlock) granules.blocks.release(this.#stackBlock);
    this.#stackBlock = undefined;
    this.#stack = this.#template.stack;
  }
}
