/**
 * A WebAssembly module taken apart as far as the rewrite needs it: imports, exports, functions, tables, constant data.
 *
 * Owns: reading those, and the edits that leave every index as it is (bodies replaced, functions added, exports added, memory shared,
 * the table imported). Does not own: the imports' format (`imports.ts`), which functions these are (`../rewrite/`).
 * Invariant: no edit moves a function, type, global or table index, so no instruction has to be rewritten.
 */
import { ByteReader, concat, name, unsigned, vector } from "./bytes.ts";
import { ExternalKind, type Import, readImports, withSharedMemory, writeImports } from "./imports.ts";
import { instructions, Op, skipLocals } from "./instructions.ts";
import { joinSections, type Section, SectionId, splitSections } from "./sections.ts";

/** What an export names. */
interface Export {
  readonly kind: number;
  readonly index: number;
}

/** How many values a function takes and gives. */
export interface Signature {
  readonly parameters: number;
  readonly results: number;
}

/** The name under which a library imports the stack pointer, and an exported function that only reads it. */
const stackPointerImport = "__stack_pointer";
const stackPointerReader = "emscripten_stack_get_current";

/** The form of a function type. */
const functionType = 0x60;

/** An editable module. */
export class WasmModule {
  imports: readonly Import[];
  readonly exports: Map<string, Export>;
  /** The functions' bodies (locals and instructions); the first one has the index `importedFunctions`. */
  readonly bodies: Uint8Array[];
  readonly importedFunctions: number;
  readonly #sections: Section[];
  #tableImport: Import | undefined;
  #stackPointer: { readonly index: number | undefined } | undefined;
  #types: readonly Signature[] | undefined;
  /** By function index: the index of its type. */
  readonly #functionTypes: number[];

  constructor(bytes: Uint8Array) {
    this.#sections = splitSections(bytes);
    this.imports = readImports(this.#body(SectionId.import));
    this.exports = readExports(this.#body(SectionId.export));
    this.bodies = readBodies(this.#body(SectionId.code));
    this.importedFunctions = this.imports.filter(({ kind }) => kind === ExternalKind.function).length;
    this.#functionTypes = this.#readFunctionTypes();
  }

  /** The index of an imported function. */
  importedFunction(field: string): number {
    const functions = this.imports.filter(({ kind }) => kind === ExternalKind.function);
    const index = functions.findIndex((item) => item.field === field);
    if (index < 0) throw new Error(`the WebAssembly module does not import the function ${field}`);
    return index;
  }

  /** The index of an exported function. */
  exportedFunction(field: string): number {
    const found = this.exports.get(field);
    if (found?.kind !== ExternalKind.function) throw new Error(`the WebAssembly module does not export ${field}`);
    return found.index;
  }

  /** The value of an exported global that is a constant: the address of a variable. */
  exportedAddress(field: string): number {
    const found = this.exports.get(field);
    const imported = this.imports.filter(({ kind }) => kind === ExternalKind.global).length;
    const address =
      found?.kind === ExternalKind.global && readConstants(this.#body(SectionId.global))[found.index - imported];
    if (typeof address !== "number") throw new Error(`the WebAssembly module does not export the address of ${field}`);
    return address;
  }

  /** The body of the function with this index; throws for an imported one. */
  body(index: number): Uint8Array {
    const body = this.bodies[index - this.importedFunctions];
    if (!body) throw new Error(`function ${index} has no body in the WebAssembly module`);
    return body;
  }

  replaceBody(index: number, body: Uint8Array): void {
    this.body(index);
    this.bodies[index - this.importedFunctions] = body;
  }

  /** Adds a function of the same type as `like`, behind all others. Returns its index. */
  addFunction(like: number, body: Uint8Array): number {
    this.#functionTypes.push(this.#functionTypes[like]!);
    this.bodies.push(body);
    return this.importedFunctions + this.bodies.length - 1;
  }

  addFunctionExport(field: string, index: number): void {
    if (this.exports.has(field)) throw new Error(`the WebAssembly module already exports ${field}`);
    this.exports.set(field, { kind: ExternalKind.function, index });
  }

  /** Adds an exported variable of type i32, which is 0, behind all others. Returns its index. */
  addGlobal(field: string): number {
    const at = this.#sections.findIndex(({ id }) => id === SectionId.global);
    const reader = new ByteReader(this.#body(SectionId.global));
    const count = reader.unsigned();
    const rest = reader.bytes.subarray(reader.offset);
    const variable = [0x7f, 1, Op.i32Const, 0, Op.end];
    this.#sections[at] = { id: SectionId.global, body: concat([unsigned(count + 1), rest, variable]) };
    const index = this.imports.filter(({ kind }) => kind === ExternalKind.global).length + count;
    this.exports.set(field, { kind: ExternalKind.global, index });
    return index;
  }

  /** Declares the imported memory shared. */
  shareMemory(): void {
    this.imports = withSharedMemory(this.imports);
  }

  /** Turns the module's one table into an import of the same type; the index stays 0. Returns its initial size. */
  importTable(module: string, field: string): number {
    const at = this.#sections.findIndex(({ id }) => id === SectionId.table);
    const reader = new ByteReader(this.#sections[at]?.body ?? new Uint8Array([0]));
    if (reader.unsigned() !== 1) throw new Error("the WebAssembly module does not have exactly one table");
    const description = reader.bytes.subarray(reader.offset);
    this.#sections.splice(at, 1);
    this.#tableImport = { module, field, kind: ExternalKind.table, description };
    reader.skip(2);
    return reader.unsigned();
  }

  /** Imports one more memory, which is not shared and has `pages` pages of 64 KiB. Returns its index. */
  importMemory(module: string, field: string, pages: number): number {
    const index = this.imports.filter(({ kind }) => kind === ExternalKind.memory).length;
    const description = concat([[1], unsigned(pages), unsigned(pages)]);
    this.imports = [...this.imports, { module, field, kind: ExternalKind.memory, description }];
    return index;
  }

  /** The signatures of the types. */
  get types(): readonly Signature[] {
    this.#types ??= readTypes(this.#body(SectionId.type));
    return this.#types;
  }

  /** The signature of the function with this index. */
  signatureOf(index: number): Signature {
    return this.types[this.#functionTypes[index]!]!;
  }

  /** The index of the global that is the pointer of the C stack; undefined if the module has none that can be told. */
  get stackPointer(): number | undefined {
    this.#stackPointer ??= { index: this.#findStackPointer() };
    return this.#stackPointer.index;
  }

  /** The start of linear memory as the data segments write it, `limit` bytes of it. */
  constantMemory(limit: number): Uint8Array {
    const memory = new Uint8Array(limit);
    const reader = new ByteReader(this.#body(SectionId.data));
    for (let count = reader.unsigned(); count > 0; count--) {
      const active = reader.unsigned() === 0;
      if (active) reader.skip(1);
      const offset = active ? reader.unsigned() : limit;
      if (active) reader.skip(1);
      const length = reader.unsigned();
      if (offset + length <= limit) memory.set(reader.bytes.subarray(reader.offset, reader.offset + length), offset);
      reader.skip(length);
    }
    return memory;
  }

  /** The module as edited. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const imports = this.#tableImport ? [...this.imports, this.#tableImport] : this.imports;
    const edited = new Map([
      [SectionId.import as number, writeImports(imports)],
      [
        SectionId.function as number,
        new Uint8Array(vector(this.#functionTypes.slice(this.importedFunctions).map(unsigned))),
      ],
      [SectionId.export as number, concat([unsigned(this.exports.size), ...[...this.exports].map(writeExport)])],
      [SectionId.code as number, concat([unsigned(this.bodies.length), ...this.bodies.flatMap(writeBody)])],
    ]);
    return joinSections(this.#sections.map(({ id, body }) => ({ id, body: edited.get(id) ?? body })));
  }

  #readFunctionTypes(): number[] {
    const imported = this.imports.filter(({ kind }) => kind === ExternalKind.function);
    const types = imported.map(({ description }) => new ByteReader(description).unsigned());
    const own = new ByteReader(this.#body(SectionId.function));
    for (let count = own.unsigned(); count > 0; count--) types.push(own.unsigned());
    return types;
  }

  #findStackPointer(): number | undefined {
    const globals = this.imports.filter(({ kind }) => kind === ExternalKind.global);
    const imported = globals.findIndex(({ field }) => field === stackPointerImport);
    if (imported >= 0) return imported;
    const reader = this.exports.get(stackPointerReader);
    if (reader?.kind !== ExternalKind.function || reader.index < this.importedFunctions) return undefined;
    const body = this.body(reader.index);
    const [first, second] = [...instructions(body, 0, body.length)];
    return first?.op === Op.globalGet && second?.op === Op.end ? first.operand : undefined;
  }

  #body(id: number): Uint8Array {
    return this.#sections.find((section) => section.id === id)?.body ?? new Uint8Array([0]);
  }
}

/**
 * The module with `code` in front of an exported function's own; undefined if there is no such function. The same as
 * `replaceBody`, but without taking every function apart: that takes a while for thousands of them.
 */
export function insertOnEntry(bytes: Uint8Array, exported: string, code: readonly number[]): Uint8Array | undefined {
  const sections = splitSections(bytes);
  const bodyOf = (id: number) => sections.find((section) => section.id === id)?.body ?? new Uint8Array([0]);
  const imports = readImports(bodyOf(SectionId.import)).filter(({ kind }) => kind === ExternalKind.function);
  const found = readExports(bodyOf(SectionId.export)).get(exported);
  if (found?.kind !== ExternalKind.function) return undefined;
  const functions = bodyOf(SectionId.code);
  const reader = new ByteReader(functions);
  reader.unsigned();
  for (let before = found.index - imports.length; before > 0; before--) reader.skip(reader.unsigned());
  const lengthAt = reader.offset;
  const length = reader.unsigned();
  const start = skipLocals(functions, reader.offset);
  const edited = [
    functions.subarray(0, lengthAt),
    unsigned(length + code.length),
    functions.subarray(reader.offset, start),
    code,
    functions.subarray(start),
  ];
  return joinSections(sections.map(({ id, body }) => ({ id, body: id === SectionId.code ? concat(edited) : body })));
}

function readExports(body: Uint8Array): Map<string, Export> {
  const reader = new ByteReader(body);
  const exports = new Map<string, Export>();
  for (let count = reader.unsigned(); count > 0; count--) {
    const field = reader.name();
    exports.set(field, { kind: reader.byte(), index: reader.unsigned() });
  }
  return exports;
}

function readBodies(body: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(body);
  return Array.from({ length: reader.unsigned() }, () => {
    const length = reader.unsigned();
    reader.skip(length);
    return body.subarray(reader.offset - length, reader.offset);
  });
}

function readTypes(types: Uint8Array): Signature[] {
  const reader = new ByteReader(types);
  return Array.from({ length: reader.unsigned() }, () => {
    if (reader.byte() !== functionType) throw new Error("the WebAssembly module has a type that is no function's");
    const parameters = reader.unsigned();
    reader.skip(parameters);
    const results = reader.unsigned();
    reader.skip(results);
    return { parameters, results };
  });
}

/** The initial values of the globals that are i32 constants; undefined for others. */
function readConstants(body: Uint8Array): (number | undefined)[] {
  const reader = new ByteReader(body);
  return Array.from({ length: reader.unsigned() }, () => {
    reader.skip(2);
    const [value] = instructions(body, reader.offset, body.length, reader.offset);
    for (const { op, offset } of instructions(body, reader.offset, body.length, reader.offset)) {
      reader.offset = offset + 1;
      if (op === Op.end) break;
    }
    return value?.op === Op.i32Const ? value.operand : undefined;
  });
}

function writeExport([field, { kind, index }]: [string, Export]): number[] {
  return [...name(field), kind, ...unsigned(index)];
}

function writeBody(body: Uint8Array): (Uint8Array | number[])[] {
  return [unsigned(body.length), body];
}
