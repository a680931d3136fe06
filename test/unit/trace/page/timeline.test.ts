/** The lanes of the page: what becomes of events, and the axis on which an idle time is short. */
import { expect, test } from "vitest";
import { makeAxis, ticksOf, timeAt, timeWords } from "../../../../src/trace/page/axis.ts";
import { collectPage } from "../../../../src/trace/page/collect.ts";
import type { PageData } from "../../../../src/trace/page/page-data.ts";
import { lanesOf, sumUp } from "../../../../src/trace/page/timeline.ts";
import { openTrace } from "../../../../src/trace/read/trace-reader.ts";
import { encodeExecute, encodeFlush, encodeParse, encodeQuery, encodeSync } from "../../../../src/wire/frontend.ts";
import { login, makeTrace, reply } from "../../../trace/support/made-trace.ts";

async function collected(write: Parameters<typeof makeTrace>[0]): Promise<PageData> {
  const file = await makeTrace(write);
  return collectPage(openTrace(file), file, { statements: [] }, false).data;
}

/** A span as the words of the messages that it begins and ends with. */
function span(data: PageData, { first, last }: { first: number; last: number }): string {
  const word = (i: number) => `${data.names[data.events.name[i]!]} ${data.texts[data.events.text[i]!]}`.trim();
  return `${word(first)} … ${word(last)}`;
}

test("transactions, by how they end; pipelines; waits for locks, with who holds them", async () => {
  const data = await collected((trace) => {
    const says = (connection: number, sql: string, ...answer: Buffer[]) => {
      trace.tap(connection, "frontend", encodeQuery(sql));
      trace.tap(connection, "backend", Buffer.concat(answer));
    };
    for (const connection of [1, 2, 3]) login(trace, connection);
    says(1, "begin", reply.done("BEGIN"), reply.ready("T"));
    says(2, "begin", reply.done("BEGIN"), reply.ready("T"));
    trace.tap(2, "frontend", encodeQuery("update"));
    trace.decided(1002, "wait", "lock of 1001");
    says(1, "commit", reply.done("COMMIT"), reply.ready());
    trace.decided(1002, "woken");
    trace.tap(2, "backend", Buffer.concat([reply.error("40001", "no"), reply.ready("E")]));
    says(2, "commit", reply.done("ROLLBACK"), reply.ready());
    says(3, "begin; select", reply.done("BEGIN"), reply.error("42P01", "none"), reply.ready("E"));
    says(1, "begin", reply.done("BEGIN"), reply.ready("T"));
    trace.tap(1, "closed");
  });
  const [ann, bob, cleo] = lanesOf(data);
  const transactions = (lane = ann!) => lane.transactions.map((each) => `${each.outcome}: ${span(data, each)}`);
  expect(transactions()).toEqual([
    'committed: Query "begin" … ReadyForQuery I',
    'rolled back: Query "begin" … (closed)',
  ]);
  expect(transactions(bob)).toEqual(['rolled back: Query "begin" … ReadyForQuery I']);
  expect(transactions(cleo)).toEqual(['failed: Query "begin; select" … ReadyForQuery E']);
  expect(bob!.waits.map((wait) => [wait.holders, span(data, wait)])).toEqual([
    [[1], "(wait for a lock of connection 1) … (woken)"],
  ]);
  expect(bob!.pipelines.map((each) => span(data, each))).toEqual([
    'StartupMessage 3.0 "user" "postgres" … ReadyForQuery I',
    'Query "begin" … ReadyForQuery T',
    'Query "update" … ReadyForQuery E',
    'Query "commit" … ReadyForQuery I',
  ]);
  expect(bob!.pipelines.map(({ error }) => error !== undefined)).toEqual([false, false, true, false]);
  expect([ann!, bob!, cleo!].map(({ errors }) => errors.length)).toEqual([0, 1, 1]);
});

test("a pipeline that is answered in two parts has two waits", async () => {
  const data = await collected((trace) => {
    login(trace, 1);
    trace.tap(1, "frontend", Buffer.concat([encodeParse("", "select 1"), encodeFlush()]));
    trace.tap(1, "backend", reply.parsed);
    trace.tap(1, "frontend", Buffer.concat([encodeExecute(""), encodeSync()]));
    trace.tap(1, "backend", Buffer.concat([reply.done("SELECT 1"), reply.ready()]));
  });
  const [, pipeline] = lanesOf(data)[0]!.pipelines;
  const name = (i: number | undefined) => data.names[data.events.name[i!]!];
  expect(pipeline!.waits.map(({ first, asked, answered }) => [first, asked, answered].map(name))).toEqual([
    ["Parse", "Flush", "ParseComplete"],
    ["Execute", "Sync", "CommandComplete"],
  ]);
});

test("a time when nothing goes on is short, unless one wants it as it was; a place is a time again", async () => {
  const data = await collected((trace) => login(trace, 1));
  const lanes = lanesOf(data);
  const time = Float64Array.from([0, 100, 5_000_100, 5_000_200]);
  const busy = [
    {
      ...lanes[0]!,
      pipelines: [
        { first: 0, last: 1 },
        { first: 2, last: 3 },
      ] as never,
      waits: [],
    },
  ];
  const short = makeAxis(time, busy, true);
  expect([...short.places]).toEqual([0, 100, 300, 400]);
  expect(short.breaks).toEqual([{ from: 100, to: 300, duration: 5_000_000 }]);
  expect([0, 50, 100, 200, 300, 350].map((place) => timeAt(short, place))).toEqual([
    ...[0, 50, 100, 100, 5_000_100, 5_000_150],
  ]);
  expect(ticksOf(short, 0, 400, 50).map(({ time: at }) => at)).toEqual([0, 50, 100, 5_000_100, 5_000_150, 5_000_200]);
  const plain = makeAxis(time, busy, false);
  expect([...plain.places]).toEqual([...time]);
  expect(ticksOf(plain, 0, 5_000_200, 900_000)).toHaveLength(6);
  expect(sumUp(data).count).toBe(data.events.time.length);
  expect([timeWords(12, 1), timeWords(1500, 100), timeWords(2_000_000, 1e6)]).toEqual(["12 µs", "1.5 ms", "2 s"]);
});
