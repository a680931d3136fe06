/**
 * Follows the instructions of a function: what is known of the values on the operand stack, and which facts hold.
 *
 * Owns: the operand stack, blocks and branches; the frame on the C stack. Does not own: what a fact says; here it is a
 * number that holds from where it was noted, on all ways there, until the next call or the next change of its local.
 * Mirrors: core specification, "Validation algorithm" (the stack of values and that of control frames), and how clang
 * makes a frame: it takes its size from the stack pointer first of all.
 * Invariant: nothing is said of a value or a fact that is not so on every way to the instruction.
 */
import { ByteReader } from "../wasm/bytes.ts";
import { type Instruction, Op } from "../wasm/instructions.ts";
import type { Signature, WasmModule } from "../wasm/module.ts";
import { stackEffect } from "../wasm/stack-effect.ts";

/** A value on the operand stack. */
export interface Value {
  /**
   * What `number` is: a constant; a local whose value it has if that has not been set since; an offset in this function's
   * frame, from its upper end, so a negative one; or nothing.
   */
  readonly kind: "constant" | "local" | "frame" | "unknown";
  readonly number: number;
  /** Of a local: the state in which it was read; see `stateOf`. */
  readonly state: number;
  /** Where the instruction that pushed it ends. */
  readonly end: number;
}

/** A block, a loop or an `if`. */
interface Block {
  readonly op: number;
  /** Of the operand stack at its start. */
  readonly height: number;
  readonly results: number;
  readonly factsAtStart: ReadonlySet<number>;
  readonly isReachable: boolean;
  /** What holds on all ways to its end that have been seen; undefined: there was none. */
  factsAtEnd: ReadonlySet<number> | undefined;
  hasElse: boolean;
}

const noFacts: ReadonlySet<number> = new Set();

/** See the head of the file. */
export class FunctionFlow {
  /** Whether the instruction can be reached at all. */
  isReachable = true;
  readonly #module: WasmModule;
  readonly #body: Uint8Array;
  readonly #stack: Value[] = [];
  readonly #blocks: Block[];
  #facts = new Set<number>();
  /** Of each local that has been set. */
  readonly #states = new Map<number, number>();
  #lastState: number;
  /** How often each local is set. */
  readonly #sets: ReadonlyMap<number, number>;
  /** Locals that are an offset in the frame, all through the function. */
  readonly #frameLocals = new Map<number, number>();
  /** Where the stack pointer is in the frame; undefined when that is not known. */
  #stackPointer: number | undefined = 0;

  /** `sets` is how often each local is set, `locals` how many there are. */
  constructor(module: WasmModule, body: Uint8Array, sets: ReadonlyMap<number, number>, locals: number) {
    this.#module = module;
    this.#body = body;
    this.#sets = sets;
    this.#lastState = locals;
    this.#blocks = [this.#newBlock(Op.block, 0)];
  }

  /** A value on the stack; 0 is the uppermost. Undefined where the instruction cannot be reached. */
  operand(depth: number): Value | undefined {
    return this.#stack[this.#stack.length - 1 - depth];
  }

  /** How many values are below the uppermost `count` ones. */
  heightBelow(count: number): number {
    return this.#stack.length - count;
  }

  /** A number for what a local holds: another one whenever it is set. */
  stateOf(local: number): number {
    return this.#states.get(local) ?? local;
  }

  /** From here on a local holds another value; also one that was added to the function. */
  forget(local: number): void {
    this.#states.set(local, ++this.#lastState);
  }

  holds(fact: number): boolean {
    return this.#facts.has(fact);
  }

  note(fact: number): void {
    this.#facts.add(fact);
  }

  /** Passes over an instruction. */
  step({ offset, op, operand, end }: Instruction): void {
    if (op === Op.block || op === Op.loop || op === Op.if) this.#enter(op, offset);
    else if (op === Op.else) this.#else();
    else if (op === Op.end) this.#leave(end);
    else if (op === Op.br || op === Op.brIf || op === Op.brTable) this.#branch(op, offset, operand);
    else if (op === Op.return || op === Op.unreachable) this.#stop();
    else if (op === Op.call) this.#call(this.#module.signatureOf(operand), end);
    else if (op === Op.callIndirect) {
      this.#pop();
      this.#call(this.#module.types[operand]!, end);
    } else this.#plain(op, offset, operand, end);
  }

  #plain(op: number, offset: number, operand: number, end: number): void {
    const effect = stackEffect(op, this.#body[offset + 1]!);
    const operands: (Value | undefined)[] = [];
    if (!effect) throw new Error(`WebAssembly instruction 0x${op.toString(16)} has no known effect on the stack`);
    if (op === Op.localSet || op === Op.localTee) this.#set(operand, this.#pop());
    else if (op === Op.globalSet && operand === this.#module.stackPointer) this.#setStackPointer(this.#pop());
    else for (let count = effect.pops; count > 0; count--) operands.push(this.#pop());
    if (effect.pushes > 0) this.#stack.push(this.#result(op, operand, operands, end));
  }

  #result(op: number, operand: number, operands: readonly (Value | undefined)[], end: number): Value {
    if (op === Op.localGet || op === Op.localTee) {
      const offset = this.#frameLocals.get(operand);
      if (offset !== undefined) return { kind: "frame", number: offset, state: 0, end };
      return { kind: "local", number: operand, state: this.stateOf(operand), end };
    }
    if (op === Op.i32Const) return { kind: "constant", number: operand, state: 0, end };
    const isStackPointer = op === Op.globalGet && operand === this.#module.stackPointer;
    if (isStackPointer && this.#stackPointer !== undefined)
      return { kind: "frame", number: this.#stackPointer, state: 0, end };
    if (op !== Op.i32Add && op !== Op.i32Subtract) return unknown(end);
    const [right, left] = operands;
    const [frame, other] = left?.kind === "frame" || op === Op.i32Subtract ? [left, right] : [right, left];
    if (frame?.kind !== "frame" || other?.kind !== "constant") return unknown(end);
    const number = op === Op.i32Add ? frame.number + other.number : frame.number - other.number;
    return { kind: "frame", number, state: 0, end };
  }

  #set(local: number, value: Value | undefined): void {
    this.forget(local);
    // In the outermost block, what comes later in the function is only reached through here.
    const isAlwaysSet = this.#sets.get(local) === 1 && this.#blocks.length === 1;
    if (value?.kind === "frame" && isAlwaysSet) this.#frameLocals.set(local, value.number);
  }

  #setStackPointer(value: Value | undefined): void {
    // Once unknown, it stays so: whoever sets it later may have done so on some ways only.
    const isKnown = this.#stackPointer !== undefined && value?.kind === "frame";
    this.#stackPointer = isKnown ? value.number : undefined;
  }

  #enter(op: number, offset: number): void {
    if (op === Op.if) this.#pop();
    // Some way to here may have moved it.
    this.#stackPointer = undefined;
    const block = this.#newBlock(op, this.#resultsOf(offset + 1));
    this.#blocks.push(block);
    // Back at its start, anything may have happened.
    if (op === Op.loop) this.#facts = new Set();
  }

  #newBlock(op: number, results: number): Block {
    return {
      op,
      height: this.#stack.length,
      results,
      factsAtStart: op === Op.if ? new Set(this.#facts) : noFacts,
      isReachable: this.isReachable,
      factsAtEnd: undefined,
      hasElse: false,
    };
  }

  #else(): void {
    const block = this.#blocks.at(-1)!;
    this.#arriveAtEnd(block);
    block.hasElse = true;
    this.#stack.length = block.height;
    this.isReachable = block.isReachable;
    this.#facts = new Set(block.factsAtStart);
  }

  #leave(end: number): void {
    const block = this.#blocks.pop()!;
    this.#arriveAtEnd(block);
    if (block.op === Op.if && !block.hasElse && block.isReachable) {
      block.factsAtEnd = common(block.factsAtEnd, block.factsAtStart);
    }
    this.#stack.length = block.height;
    for (let count = block.results; count > 0; count--) this.#pushUnknown(end);
    this.isReachable = block.factsAtEnd !== undefined;
    this.#facts = new Set(block.factsAtEnd);
  }

  #arriveAtEnd(block: Block): void {
    if (this.isReachable) block.factsAtEnd = common(block.factsAtEnd, this.#facts);
  }

  #branch(op: number, offset: number, operand: number): void {
    if (op !== Op.br) this.#pop();
    for (const target of op === Op.brTable ? this.#targetsOf(offset + 1) : [operand]) {
      const block = this.#blocks[this.#blocks.length - 1 - target];
      // To a loop is to its start, where nothing is taken for granted.
      if (block && block.op !== Op.loop) this.#arriveAtEnd(block);
    }
    if (op !== Op.brIf) this.#stop();
  }

  /** What follows cannot be reached, up to the end of the block. */
  #stop(): void {
    this.isReachable = false;
    this.#stack.length = this.#blocks.at(-1)!.height;
  }

  #call({ parameters, results }: Signature, end: number): void {
    for (let count = parameters; count > 0; count--) this.#pop();
    for (let count = results; count > 0; count--) this.#pushUnknown(end);
    this.#facts = new Set();
  }

  /** Undefined where nothing can be reached: there the stack may hold anything. */
  #pop(): Value | undefined {
    if (this.#stack.length > (this.#blocks.at(-1)?.height ?? 0)) return this.#stack.pop();
    if (this.isReachable) throw new Error("a WebAssembly function takes more from its stack than there is");
    return undefined;
  }

  #pushUnknown(end: number): void {
    this.#stack.push(unknown(end));
  }

  /** The targets of a `br_table`, given where they are listed. */
  #targetsOf(at: number): number[] {
    const reader = new ByteReader(this.#body, at);
    return Array.from({ length: reader.unsigned() + 1 }, () => reader.unsigned());
  }

  /** How many results a block has, given where its type is. */
  #resultsOf(at: number): number {
    const type = this.#body[at]!;
    if (type === Op.noResult) return 0;
    // A type of a value; the index of a type has another first byte, or is below them.
    if (type >= 0x6f && type <= 0x7f) return 1;
    throw new Error("a block of a WebAssembly function has the type of a function");
  }
}

function unknown(end: number): Value {
  return { kind: "unknown", number: 0, state: 0, end };
}

function common(one: ReadonlySet<number> | undefined, other: ReadonlySet<number>): ReadonlySet<number> {
  if (!one) return new Set(other);
  const both = new Set<number>();
  for (const fact of one) if (other.has(fact)) both.add(fact);
  return both;
}
