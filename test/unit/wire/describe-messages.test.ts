import { expect, test } from "vitest";
import { describeMessages } from "../../../src/wire/describe-messages.ts";
import { message } from "../../support/wire-client.ts";

test.each([
  ["a query, in one line", [message.query("select\n  1")], 'Query "select 1"'],
  [
    "a pipeline",
    [message.parse("s1", "select $1"), message.bind("", "s1", ["x"]), message.execute(""), message.sync()],
    'Parse "s1" "select $1", Bind, Execute, Sync',
  ],
  ["a message of no known type", [Buffer.from([0x7a, 0, 0, 0, 4])], 'message "z"'],
  ["nothing", [], ""],
])("%s", (_, messages, expected) => {
  expect(describeMessages(Buffer.concat(messages))).toBe(expected);
});

test("a password in a statement is masked, also where it is cut off", () => {
  const statements = ["alter role a password 'hidden'", "select dblink_connect('host=h password=hidden')"];
  for (const statement of statements)
    for (const bytes of [message.query(statement), message.parse("s", statement)])
      for (let length = 1; length <= bytes.length; length++)
        expect(describeMessages(bytes.subarray(0, length))).not.toMatch(/hi|dden/);
});

test("what was cut off is marked, wherever it was", () => {
  const bytes = Buffer.concat([message.query("select 1"), message.query("select 2")]);
  for (let length = 1; length < bytes.length; length++) {
    const described = describeMessages(bytes.subarray(0, length));
    expect(described.endsWith(" …")).toBe(length !== message.query("select 1").length);
  }
});
