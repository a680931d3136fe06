/** The judgement of an answer, where a storm on a canned server cannot bring it about. */
import { expect, test } from "vitest";
import { describePortal, type Exchange, execute, sync } from "../../../../src/trace/storm/exchange.ts";
import { judge } from "../../../../src/trace/storm/judge.ts";
import { MessageReader } from "../../../../src/wire/message-reader.ts";
import { encodeReplies } from "../../../support/canned-server.ts";

const statement = { sql: "", parameters: [], row: ["a", null], rows: 2 };
const exchange: Exchange = { shape: "plain", messages: [describePortal(statement), execute(statement), sync()] };
const right = exchange.messages.flatMap(({ replies }) => replies);

function answer(replies: typeof right, due = right.length) {
  return { messages: new MessageReader().push(encodeReplies(replies)), due, end: "complete" as const };
}

test("all of the replies and nothing more is right", () => {
  expect(judge(exchange, answer(right))).toEqual({ kind: "right" });
  expect(judge(exchange, answer([...right, { type: "Z", status: "I" }])).kind).toBe("outOfStep");
});

test("an answer that has ended is not right, even if all of it came", () => {
  expect(judge(exchange, { ...answer(right), end: "lost" }).kind).toBe("connectionLost");
});

test("rows that the client has not asked for, because something was wrong before, are not missing", () => {
  const ready = [{ type: "Z", status: "I" }] as const;
  expect(judge(exchange, answer([...ready], 1)).kind).toBe("outOfStep");
  expect(judge(exchange, answer([...ready])).kind).toBe("wrongRows");
});

test("rows that cannot be read are wrong rows", () => {
  const broken = answer(right);
  const messages = broken.messages.map((message) =>
    message.type === "D" ? { ...message, body: message.body.subarray(0, 3) } : message,
  );
  const verdict = judge(exchange, { ...broken, messages });
  expect(verdict).toMatchObject({ kind: "wrongRows", detail: expect.stringContaining("expected row (a | null)") });
});
