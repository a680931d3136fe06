/**
 * A WebAssembly module as its list of sections, to be taken apart and put together again.
 *
 * Owns: the frame of the binary format (magic, section ids, lengths). Does not own: the contents (`module.ts`).
 * Invariant: `joinSections(splitSections(bytes))` has the same meaning as `bytes`; only lengths may be spelled shorter.
 */
import { ByteReader, concat, unsigned } from "./bytes.ts";

/** Section ids that this project looks into (core specification, "Binary format: modules"). */
export const SectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  element: 9,
  code: 10,
  data: 11,
  tag: 13,
} as const;

/** One section: its id and its bytes without the length. */
export interface Section {
  readonly id: number;
  readonly body: Uint8Array;
}

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** The sections in file order; their bodies are views of `bytes`. Throws when it is no WebAssembly module. */
export function splitSections(bytes: Uint8Array): Section[] {
  if (header.some((byte, index) => bytes[index] !== byte)) throw new Error("not a WebAssembly module (version 1)");
  const reader = new ByteReader(bytes, header.length);
  const sections: Section[] = [];
  while (!reader.done) {
    const id = reader.byte();
    const length = reader.unsigned();
    sections.push({ id, body: bytes.subarray(reader.offset, reader.offset + length) });
    reader.skip(length);
  }
  return sections;
}

/** A module of these sections. */
export function joinSections(sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  return concat([header, ...sections.flatMap(({ id, body }) => [[id, ...unsigned(body.length)], body])]);
}
