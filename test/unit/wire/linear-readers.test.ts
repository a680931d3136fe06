/** What it costs to read a large message that comes in small chunks: each byte is copied a fixed number of times. */
import { expect, test, vi } from "vitest";
import { encodeMessage } from "../../../src/wire/frontend.ts";
import { MessageReader } from "../../../src/wire/message-reader.ts";
import { ReplyReader } from "../../../src/wire/reply-reader.ts";

/** How many bytes it copies into buffers. */
function countCopied(run: () => void): number {
  let copied = 0;
  const { concat, from } = Buffer;
  const concats = vi.spyOn(Buffer, "concat").mockImplementation((parts, length) => {
    copied += parts.reduce((sum, part) => sum + part.length, 0);
    return concat(parts, length);
  });
  const froms = vi.spyOn(Buffer, "from").mockImplementation(((value: unknown, ...rest: never[]) => {
    if (ArrayBuffer.isView(value)) copied += value.byteLength;
    return (from as (...values: unknown[]) => Buffer)(value, ...rest);
  }) as typeof Buffer.from);
  try {
    run();
  } finally {
    concats.mockRestore();
    froms.mockRestore();
  }
  return copied;
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

const readers = {
  MessageReader: () => {
    const reader = new MessageReader();
    let found = "";
    const push = (chunk: Buffer) => {
      for (const { type, body } of reader.push(chunk)) found += `${type}${body.length} `;
    };
    return { push, found: () => found };
  },
  "ReplyReader, of a message that is inspected": () => {
    let found = "";
    const inspect = (type: number, { length }: Uint8Array) => {
      found += `${String.fromCharCode(type)}${length - 5} `;
      return undefined;
    };
    const reader = new ReplyReader({ verdict: () => "inspect", inspect }, () => {});
    return { push: (chunk: Buffer) => reader.feed(chunk), found: () => found };
  },
};

test.each(Object.entries(readers))("%s copies each byte at most twice, and some heads", (_, make) => {
  const large = 1 << 16;
  const text = Buffer.alloc(large, "x");
  const stream = Buffer.concat(["N", "E", "N"].map((type) => encodeMessage(type, text)));
  for (const size of [3, 100, 1448]) {
    const { push, found } = make();
    const chunks = cut(stream, size);
    const copied = countCopied(() => chunks.forEach(push));
    expect(found()).toBe(`N${large} E${large} N${large} `);
    expect(copied / stream.length).toBeLessThan(2.1);
  }
});
