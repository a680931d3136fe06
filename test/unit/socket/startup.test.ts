/** Reading the packets of the startup phase. Mirrors ProcessStartupPacket() in src/backend/tcop/backend_startup.c. */
import { describe, expect, test } from "vitest";
import { negotiation, readStartupPacket, type StartupMessage } from "../../support/socket-library.ts";
import { message } from "../../support/wire-client.ts";

const version = (major: number, minor: number): number => (major << 16) | minor;
const login = (minor = 0, parameters: Record<string, string> = { user: "u", database: "d" }): Buffer =>
  message.startup(parameters, version(3, minor));

/** The packet, which must take all of `bytes`. */
function packetOf(bytes: Buffer) {
  const read = readStartupPacket(bytes);
  if (!read || "violation" in read) throw new Error(`no packet: ${JSON.stringify(read)}`);
  expect(read.length).toBe(bytes.length);
  return read.packet;
}

function violationOf(bytes: Buffer): string {
  const read = readStartupPacket(bytes);
  if (!read || !("violation" in read)) throw new Error(`no violation: ${JSON.stringify(read)}`);
  return read.violation.message;
}

const startupOf = (bytes: Buffer): StartupMessage => {
  const packet = packetOf(bytes);
  if (packet.kind !== "startup") throw new Error(packet.kind);
  return packet;
};

const packets: [name: string, bytes: Buffer][] = [
  ["SSLRequest", message.sslRequest()],
  ["GSSENCRequest", message.gssencRequest()],
  ["CancelRequest", message.cancelRequest(7, Buffer.alloc(4, 9))],
  ["CancelRequest of protocol 3.2", message.cancelRequest(7, Buffer.alloc(32, 9))],
  ["StartupMessage", login()],
  ["StartupMessage 3.2 with an option", login(2, { user: "u", "_pq_.x": "y" })],
];

describe("a packet", () => {
  test.each(packets)("%s is nothing until its last byte came", (_, bytes) => {
    for (let at = 0; at < bytes.length; at++) expect(readStartupPacket(bytes.subarray(0, at))).toBeUndefined();
    packetOf(bytes);
  });

  test.each(packets)("%s ends where its length says, whatever follows", (_, bytes) => {
    const read = readStartupPacket(Buffer.concat([bytes, Buffer.from("more")]));
    expect(read).toMatchObject({ length: bytes.length, packet: packetOf(bytes) });
  });

  test.each([0, 1, 4, 7, 10_001, 0x47455420, -1, -(2 ** 31)])("of %d bytes is none, told by its length", (length) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(length);
    expect(violationOf(bytes)).toMatch(
      new RegExp(`length of startup packet\\b.*[^\\d-]${length}\\b.*\\b8\\b.*\\b10000\\b`),
    );
  });

  test("of 10000 bytes is taken", () => {
    const value = "x".repeat(10_000 - login(0, { user: "u", a: "" }).length);
    expect(startupOf(login(0, { user: "u", a: value })).parameters.get("a")).toBe(value);
  });
});

describe("a StartupMessage", () => {
  test("has its parameters as they were sent", () => {
    const parameters = { user: "ü ser", database: "d", application_name: "", options: "-c a=b", "": "" };
    const { "": _, ...sent } = parameters;
    const packet = startupOf(login(0, sent));
    expect(Object.fromEntries(packet.parameters)).toEqual(sent);
    expect(packet).toMatchObject({ minor: 0, protocolOptions: [] });
  });

  test("names the user's database where it names none", () => {
    expect(startupOf(login(0, { user: "u" })).parameters.get("database")).toBe("u");
    expect(startupOf(login(0, { user: "u", database: "" })).parameters.get("database")).toBe("u");
    expect(startupOf(login(0, {})).parameters.get("database")).toBeUndefined();
  });

  test("keeps protocol options apart from settings, by name only", () => {
    const packet = startupOf(login(0, { user: "u", "_pq_.a": "1", "_pq_.": "2", _pq_: "3", "x_pq_.b": "4" }));
    expect(packet.protocolOptions).toEqual(["_pq_.a", "_pq_."]);
    expect(packet.parameters.get("_pq_")).toBe("3");
    expect(packet.parameters.get("x_pq_.b")).toBe("4");
    expect(packet.parameters.has("_pq_.a")).toBe(false);
  });

  test.each([
    ["no terminator", ["user", "u"], Buffer.alloc(0)],
    ["a value without its zero", ["user"], Buffer.from("u")],
    ["a name without a value", ["user", "u"], Buffer.from("name\0")],
    ["bytes behind the terminator", ["user", "u"], Buffer.from("\0x")],
    ["a second terminator", ["user", "u"], Buffer.from("\0\0")],
    ["nothing at all", [], Buffer.alloc(0)],
  ] as [string, string[], Buffer][])("with %s is a violation", (_, strings, rest) => {
    const bytes = message.untyped(version(3, 0), ...strings, rest);
    expect(violationOf(bytes)).toContain("startup packet layout");
  });

  test.each([
    [2, 0],
    [1, 0],
    [0, 0],
    [4, 0],
    [1234, 5677],
    [65535, 65535],
  ])("of protocol %d.%d is a violation that names it", (major, minor) => {
    const bytes = message.startup({ user: "u" }, version(major, minor));
    expect(violationOf(bytes)).toMatch(new RegExp(`protocol ${major}\\.${minor}\\b.*\\b3\\.0\\b.*\\b3\\.2\\b`));
  });
});

describe("a CancelRequest", () => {
  test.each([4, 32, 256])("has a key of %d bytes", (length) => {
    const key = Buffer.from(Array.from({ length }, (_, i) => i & 255));
    const packet = packetOf(message.cancelRequest(-5, key));
    expect(packet).toMatchObject({ kind: "cancel", processId: -5 });
    expect(packet.kind === "cancel" && Buffer.from(packet.secretKey).equals(key)).toBe(true);
  });

  test.each([0, 3])("with a key of %d bytes is a violation", (length) => {
    expect(violationOf(message.cancelRequest(1, Buffer.alloc(length)))).toBe("invalid length of cancel request packet");
  });
});

describe("the version is negotiated", () => {
  const answer = (bytes: Buffer) => negotiation(startupOf(bytes));

  test.each([0, 1, 2])("not at all for 3.%d without options", (minor) => {
    expect(answer(login(minor))).toBeUndefined();
  });

  test.each([3, 9999, 65535])("down to 3.2 from 3.%d", (minor) => {
    // Byte1('v'), Int32 length, Int32 version as SendNegotiateProtocolVersion() has it, Int32 number of options.
    expect([...answer(login(minor))!]).toEqual([0x76, 0, 0, 0, 12, 0, 3, 0, 2, 0, 0, 0, 0]);
  });

  test("with the names of the options that are not known, in their order", () => {
    const bytes = answer(login(2, { user: "u", "_pq_.one": "1", "_pq_.two": "" }))!;
    const names = Buffer.from("_pq_.one\0_pq_.two\0");
    expect([...bytes]).toEqual([0x76, 0, 0, 0, 12 + names.length, 0, 3, 0, 2, 0, 0, 0, 2, ...names]);
    expect(answer(login(0, { user: "u", "_pq_.one": "1" }))).toBeDefined();
  });
});
