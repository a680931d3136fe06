/** Validation of the library's options: a bad value is an error that says what would be a good one. */
import { PGLiteSocketServer, type PGLiteSocketServerOptions, type SocketEngine } from "@electric-sql/pglite-socket";
import { describe, expect, test } from "vitest";

const db: SocketEngine = {
  waitReady: Promise.resolve(),
  runExclusive: (fn) => fn(),
  execProtocolRawStream: () => Promise.resolve(),
};

const make = (options: object): PGLiteSocketServer =>
  new PGLiteSocketServer({ db, ...options } as PGLiteSocketServerOptions);

const longestTimer = 2 ** 31 - 1;
const ranges: [name: string, least: number, most: number][] = [
  ["port", 0, 65_535],
  ["maxConnections", 1, 100_000],
  ["idleTimeout", 0, longestTimer],
  ["stallTimeout", 0, longestTimer],
  ["transactionIdleTimeout", 0, longestTimer],
  ["maxMessageBytes", 1024, 2 ** 30 - 1],
];

describe.each(ranges)("%s", (name, least, most) => {
  test(`takes whole numbers from ${least} to ${most}, and nothing`, () => {
    for (const value of [least, least + 1, most - 1, most, undefined]) make({ [name]: value });
    make({});
  });

  test.each([
    ["below", least - 1],
    ["above", most === Number.MAX_SAFE_INTEGER ? 2 ** 54 : most + 1],
    ["a fraction", least + 0.5],
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["text", "100"],
    ["a typo", "many"],
    ["null", null],
    ["a list", [100]],
    ["a boolean", true],
    ["a bigint", 100n],
  ])("refuses %s with a RangeError that names option, value and range", (_, value) => {
    expect(() => make({ [name]: value })).toThrow(RangeError);
    expect(() => make({ [name]: value })).toThrow(
      `${name} must be a whole number from ${least} to ${most}, not ${String(value)}`,
    );
  });
});

test("the defaults are those that are documented", () => {
  expect(make({}).getStats()).toMatchObject({ activeConnections: 0, queuedQueries: 0, maxConnections: 100 });
  expect(make({}).port).toBe(5432);
  expect(make({}).getServerConn()).toBe("127.0.0.1:5432");
});
