/** The queue of isolated sessions, on an engine that is simulated: it says what the test says, when the test says it. */
import { expect, test } from "vitest";
import type { Engine, EngineSession, SessionEvents } from "../../../src/engine/engine.ts";
import { IsolatedQueue } from "../../../src/transport/isolated-queue.ts";
import { encodeMessage, encodeQuery } from "../../../src/wire/frontend.ts";

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const secretKey = Buffer.from("key");

/** A logged-in client on a simulated engine. */
async function client() {
  let events: SessionEvents | undefined;
  let position = 0;
  let whileSending = () => {};
  const interrupts: (() => boolean)[] = [];
  const session: EngineSession = {
    send: (bytes) => {
      whileSending();
      position += bytes.length;
      return position;
    },
    acknowledge: () => {},
    isRunning: true,
    interrupt: (stillWanted) => void interrupts.push(stillWanted),
    close: () => Promise.resolve(),
  };
  const engine = {
    runExclusive: (fn: () => unknown) => fn(),
    openSession: (_number: number, _parameters: unknown, listener: SessionEvents) => {
      events = listener;
      return session;
    },
  } as unknown as Engine;
  const queue = new IsolatedQueue(engine);
  const parameters = new Map(["user", "database"].map((name) => [name, "postgres"]));
  const connection = {
    ...{ id: 1, processId: 7, secretKey, parameters },
    ...{ send: () => {}, drained: () => undefined, terminate: () => {}, finish: () => {} },
  };
  await queue.attach(connection);
  return {
    interrupts,
    submit: (...messages: Buffer[]) => {
      const frames = messages.map((bytes) => ({ type: bytes[0]!, bytes }));
      void queue.submit(connection, { frames, bytes: Buffer.concat(messages) });
    },
    cancel: () => queue.cancel(7, secretKey),
    answers: (...bytes: Buffer[]) => events!.onOutput(Buffer.concat(bytes)),
    hasRun: () => events!.onProgress(position, false),
    whileSending: (action: () => void) => {
      whileSending = action;
    },
  };
}

const query = (sql: string) => Buffer.from(encodeQuery(sql));
const message = (type: string, ...parts: string[]) => Buffer.from(encodeMessage(type, ...parts));

test("a cancel between an answer and the report that the batch has run is for nobody", async () => {
  const { interrupts, submit, cancel, answers, hasRun } = await client();
  submit(query("select 1"));
  answers(readyForQuery);
  cancel();
  submit(query("select 2"));
  expect(interrupts.filter((stillWanted) => stillWanted())).toEqual([]);
  hasRun();
  expect(interrupts.filter((stillWanted) => stillWanted())).toEqual([]);
});

test("a cancel is for the statement that was asked for and not answered, and for no other", async () => {
  const { interrupts, submit, cancel, answers } = await client();
  submit(query("select 1"), query("select 2"));
  answers(readyForQuery);
  cancel();
  expect(interrupts.map((stillWanted) => stillWanted())).toEqual([true]);
  answers(readyForQuery);
  submit(query("select 3"));
  expect(interrupts.map((stillWanted) => stillWanted())).toEqual([false]);
});

test("a statement can be cancelled although the one before it was reported as done while it was handed over", async () => {
  const { interrupts, submit, cancel, answers, hasRun, whileSending } = await client();
  submit(query("select 1"));
  answers(readyForQuery);
  whileSending(hasRun);
  submit(query("select 2"));
  cancel();
  expect(interrupts.map((stillWanted) => stillWanted())).toEqual([true]);
});

test("a cancel is for what runs in a pipeline that has no end yet", async () => {
  const { interrupts, submit, cancel } = await client();
  submit(message("E", "", "\0\0\0\0"), message("H"));
  cancel();
  expect(interrupts.map((stillWanted) => stillWanted())).toEqual([true]);
});
