/**
 * The import section of a module: what it takes from outside, and its memory declared shared.
 *
 * Owns: reading and writing the section, and the one edit that both kinds of sessions need. Does not own: the other sections
 * (`module.ts`), or who makes the memory (`../shared-memory.ts`).
 * Mirrors: core specification, "Binary format: import section" and "limits". Invariant: no import moves, so no index does.
 */
import { ByteReader, concat, name, unsigned } from "./bytes.ts";
import { joinSections, SectionId, splitSections } from "./sections.ts";

/** The kinds of an import or export. */
export const ExternalKind = { function: 0, table: 1, memory: 2, global: 3, tag: 4 } as const;

/** An import: names, kind, and the bytes that describe it. */
export interface Import {
  readonly module: string;
  readonly field: string;
  readonly kind: number;
  readonly description: Uint8Array;
}

/** Bits of the flags in front of limits. */
const limitFlags = { maximum: 1, shared: 2 } as const;

/**
 * The largest memory WebAssembly knows, in pages of 64 KiB, for a side module, which declares no maximum: a shared memory
 * must have one, and any that is at least the memory's own will do.
 */
const largestMemoryPages = 65536;

/** Reads the body of an import section. */
export function readImports(body: Uint8Array): Import[] {
  const reader = new ByteReader(body);
  return Array.from({ length: reader.unsigned() }, () => {
    const module = reader.name();
    const field = reader.name();
    const kind = reader.byte();
    const start = reader.offset;
    if (kind === ExternalKind.table) reader.skip(1);
    if (kind === ExternalKind.table || kind === ExternalKind.memory) {
      const limits = reader.unsigned() & limitFlags.maximum ? 2 : 1;
      for (let count = limits; count > 0; count--) reader.skipNumber();
    } else if (kind === ExternalKind.global) reader.skip(2);
    else {
      if (kind === ExternalKind.tag) reader.skip(1);
      reader.skipNumber();
    }
    return { module, field, kind, description: body.subarray(start, reader.offset) };
  });
}

/** The body of an import section. */
export function writeImports(imports: readonly Import[]): Uint8Array<ArrayBuffer> {
  return concat([
    unsigned(imports.length),
    ...imports.map(({ module, field, kind, description }) => concat([name(module), name(field), [kind], description])),
  ]);
}

/** The imports with the memory among them declared shared; the same array if there is none or it is shared already. */
export function withSharedMemory(imports: readonly Import[]): readonly Import[] {
  const at = imports.findIndex(({ kind }) => kind === ExternalKind.memory);
  const memory = imports[at];
  if (!memory) return imports;
  const reader = new ByteReader(memory.description);
  const flags = reader.unsigned();
  if (flags & limitFlags.shared) return imports;
  const minimum = reader.unsigned();
  const maximum = flags & limitFlags.maximum ? reader.unsigned() : largestMemoryPages;
  const sharedFlags = limitFlags.maximum | limitFlags.shared;
  return imports.with(at, {
    ...memory,
    description: concat([[sharedFlags], unsigned(minimum), unsigned(maximum)]),
  });
}

/** A module with its memory import declared shared; the module itself if it imports none or a shared one. */
export function shareMemoryImport(bytes: Uint8Array): Uint8Array {
  const sections = splitSections(bytes);
  const at = sections.findIndex(({ id }) => id === SectionId.import);
  const found = sections[at];
  if (!found) return bytes;
  const imports = readImports(found.body);
  const shared = withSharedMemory(imports);
  if (shared === imports) return bytes;
  return joinSections(sections.with(at, { id: SectionId.import, body: writeImports(shared) }));
}
