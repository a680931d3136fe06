/** The walker finds the same messages however a stream is cut. */
import { expect, test } from "vitest";
import { encodeMessage, encodeQuery, encodeSslRequest, encodeStartup, encodeSync } from "../../../src/wire/frontend.ts";
import { MessageWalker } from "../../../src/wire/message-walker.ts";

const stream = Buffer.concat([
  encodeSslRequest(),
  encodeStartup({ user: "postgres" }),
  encodeQuery("select 'password'"),
  encodeSync(),
  encodeSync(),
  encodeMessage("p", "secret"),
]);

function walk(chunks: readonly Buffer[]): { names: string[]; bodies: string[] } {
  const bodies: string[] = [];
  let chunk: Buffer = Buffer.alloc(0);
  const walker = new MessageWalker("frontend", "Qp", (type, from, to, isFirst) => {
    const text = chunk.toString("latin1", from, to);
    if (isFirst) bodies.push(`${type} ${text}`);
    else bodies.push(bodies.pop() + text);
  });
  const names = chunks.map((next) => {
    chunk = next;
    return walker.walk(next);
  });
  return { names, bodies };
}

test("names what one chunk has", () => {
  expect(walk([stream]).names).toEqual(["SSLRequest StartupMessage Query Sync*2 AuthenticationResponse"]);
});

test("finds the same messages and bodies however it is cut", () => {
  const whole = walk([stream]).bodies;
  for (let size = 1; size < stream.length; size++) {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
      stream.subarray(i * size, (i + 1) * size),
    );
    const { names, bodies } = walk(chunks);
    const found = names.join(" ").replaceAll("...", "").trim().split(/ +/).join(" ");
    expect(found.replace("Sync Sync", "Sync*2")).toBe("SSLRequest StartupMessage Query Sync*2 AuthenticationResponse");
    expect(bodies).toEqual(whole);
  }
});

test("gives up on what is not the protocol, and says so", () => {
  const walker = new MessageWalker("backend", "", () => {});
  expect(walker.walk(Buffer.from("HTTP/1.1\0\0\0\0"))).toContain("...");
  const other = new MessageWalker("backend", "", () => {});
  expect(other.walk(Buffer.from([0x5a, 0, 0, 0, 1, 0x49]))).toBe("?");
  expect(other.walk(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))).toBe("?");
});

test("the answer to a request for encryption is a byte", () => {
  const walker = new MessageWalker("backend", "", () => {});
  walker.expectByte();
  expect(walker.walk(Buffer.from("NZ\0\0\0\x05I"))).toBe("no ReadyForQuery");
});
