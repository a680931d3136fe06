/**
 * The queries of the storm: repeatable, checkable, and cut as their split says.
 *
 * Owns: the properties that hold for every planned query, over a range of them. `SEED` chooses the range.
 */
import { expect, test } from "vitest";
import type { Message } from "../../../../src/trace/storm/exchange.ts";
import { type PlannedQuery, planQuery } from "../../../../src/trace/storm/query-plan.ts";
import { pipelineShapes, sessionShapes } from "../../../../src/trace/storm/shapes.ts";
import { type Split, splits } from "../../../../src/trace/storm/split.ts";
import { encodeFlush } from "../../../../src/wire/frontend.ts";
import { MessageReader } from "../../../../src/wire/message-reader.ts";

const seed = Number(process.env.SEED ?? 3);
const shapes = [...pipelineShapes, ...sessionShapes];

function plans(chosen: readonly Split[] = splits): PlannedQuery[] {
  return Array.from({ length: 600 }, (_, at) => planQuery({ seed, shapes, splits: chosen }, 1 + (at % 6), at, at % 20));
}

const sent = ({ steps }: PlannedQuery) => Buffer.concat(steps.flatMap(({ segments }) => segments));
const letters = (bytes: Buffer) => new MessageReader().push(bytes).map(({ type }) => type);

test(`the same seed makes the same queries, another one others (seed ${seed})`, () => {
  expect(plans().map(sent)).toEqual(plans().map(sent));
  const other = planQuery({ seed: seed + 1, shapes: ["plain"], splits }, 1, 0, 0);
  expect(sent(other)).not.toEqual(sent(planQuery({ seed, shapes: ["plain"], splits }, 1, 0, 0)));
});

test("every shape and every split comes, one byte at a time rarely", () => {
  const all = plans();
  expect(new Set(all.map(({ shape }) => shape))).toEqual(new Set(shapes));
  expect(new Set(all.map(({ split }) => split))).toEqual(new Set(splits));
  expect(all.filter(({ split }) => split === "bytes").length).toBeLessThan(all.length / 10);
});

test("one- and five-parameter queries alternate", () => {
  const parameters = Array.from({ length: 6 }, (_, query) => {
    const { exchange } = planQuery({ seed, shapes: ["describe first"], splits: ["whole"] }, 1, query, 0);
    return exchange.messages.flatMap(({ replies }) => replies).find((reply) => reply.type === "t")?.parameters;
  });
  expect(parameters).toEqual([1, 5, 1, 5, 1, 5]);
});

test("the rows of two queries of any clients are never equal", () => {
  const seen = new Set<string>();
  for (let client = 1; client <= 6; client++) {
    for (let query = 0; query < 50; query++) {
      const { exchange } = planQuery({ seed, shapes: pipelineShapes, splits }, client, query, 0);
      const rows = new Set(
        exchange.messages.flatMap(({ replies }) =>
          replies.flatMap((reply) => (reply.type === "D" ? [JSON.stringify(reply.values)] : [])),
        ),
      );
      expect(rows.size).toBeGreaterThan(0);
      for (const row of rows) expect(seen.has(row)).toBe(false);
      for (const row of rows) seen.add(row);
    }
  }
});

test("cut in any way, the bytes are those of the messages with Flush added, and no reply is lost", () => {
  for (const plan of plans()) {
    const messages: readonly Message[] = plan.exchange.messages;
    const replies = plan.steps.flatMap((step) => step.replies);
    expect(replies).toEqual(messages.flatMap((message) => message.replies));
    const own = letters(Buffer.concat(messages.map(({ bytes }) => bytes)));
    const withFlush = letters(sent(plan));
    expect(withFlush.filter((letter) => letter !== "H")).toEqual(own.filter((letter) => letter !== "H"));
    if (plan.split !== "flush") expect(withFlush).toEqual(own);
  }
});

test("a client waits only where the server has to have answered", () => {
  for (const { steps, exchange } of plans()) {
    for (const { segments, endsPipeline } of steps) {
      const bytes = Buffer.concat(segments);
      const last = letters(bytes).at(-1)!;
      expect(endsPipeline ? "SQ" : "H").toContain(last);
    }
    if (!exchange.hangsUp) expect(steps.at(-1)!.endsPipeline).toBe(true);
  }
});

test("whole is one write per wait, bytes are single, and flush pauses in every pipeline of several messages", () => {
  for (const { steps } of plans(["whole"])) for (const { segments } of steps) expect(segments).toHaveLength(1);
  for (const { steps } of plans(["bytes"])) {
    for (const { segments } of steps) expect(segments.every(({ length }) => length === 1)).toBe(true);
  }
  for (const { steps } of plans(["random"])) {
    for (const { segments } of steps) expect(segments.length).toBeGreaterThan(1);
  }
  for (const plan of plans(["flush"])) {
    const plain = plan.shape === "plain" || plan.shape === "pipeline";
    if (plain) expect(letters(sent(plan))).toContain("H");
    expect(sent(plan).includes(encodeFlush())).toBe(letters(sent(plan)).includes("H"));
  }
});
