/** A client's end of its session, on sessions that are simulated: they say what the test says, when the test says it. */
import { PassThrough } from "node:stream";
import type { SocketConnection } from "@electric-sql/pglite-socket";
import { expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../../src/limits.ts";
import type { Session, SessionInput, SessionOutput } from "../../../src/sessions/session.ts";
import { ClientSession } from "../../../src/transport/client-session.ts";
import type { SessionsOf } from "../../../src/transport/client-state.ts";
import { encodeMessage, encodeQuery } from "../../../src/wire/frontend.ts";

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const query = (sql: string) => Buffer.from(encodeQuery(sql));
const message = (type: string, ...parts: string[]) => Buffer.from(encodeMessage(type, ...parts));

/** A client whose session runs until the test says that it has; `fails` is what throws. */
async function client(fails?: "createSession" | "run" | "closeSession", isRefused = false) {
  const fail = (call: string): void => {
    if (fails === call) throw new Error(`${call} has failed`);
  };
  const crashes: unknown[] = [];
  let cancels = 0;
  let closed = 0;
  let finished = 0;
  let finish = () => {};
  let said: SessionOutput = () => {};
  let input: SessionInput | undefined;
  const sent: Buffer[] = [];
  const session = {
    saidReady: true,
    run: async (bytes: SessionInput, output: SessionOutput) => {
      fail("run");
      [input, said] = [bytes, output];
      while (bytes.pending) void bytes.read(8192);
      return new Promise<string>((resolve) => {
        finish = () => resolve("I");
      });
    },
  } as unknown as Session;
  const host = {
    createSession: async () => {
      fail("createSession");
      return isRefused ? undefined : session;
    },
    cancel: () => void cancels++,
    closeSession: async () => {
      fail("closeSession");
      closed++;
    },
    crashed: (error: unknown) => {
      crashes.push(error);
      return new Promise<never>(() => {});
    },
    computes: () => false,
  } as unknown as SessionsOf;
  const connection = {
    ...{ id: 1, processId: 7, secretKey: Buffer.alloc(4), parameters: new Map() },
    ...{ send: (bytes: Uint8Array) => void sent.push(Buffer.from(bytes)), drained: () => undefined },
    ...{ socket: new PassThrough(), terminate: () => {}, finish: () => void finished++ },
  } as unknown as SocketConnection;
  const subject = new ClientSession(connection, host);
  const settled = new Promise((resolve) => setImmediate(resolve));
  return {
    subject,
    cancels: () => cancels,
    closed: () => closed,
    crashes,
    finished: () => finished,
    sent,
    input: () => input!,
    owner: () => session.owner!,
    submit: (...messages: Buffer[]) => {
      const frames = messages.map((bytes) => ({ type: bytes[0]!, bytes }));
      return subject.submit({ frames, bytes: Buffer.concat(messages) });
    },
    started: () => settled,
    answers: (...bytes: Buffer[]) => void said(Buffer.concat(bytes)),
    hasRun: async () => {
      finish();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("a cancel of what has been answered is for nobody", async () => {
  const { subject, submit, started, answers, hasRun, cancels } = await client();
  void submit(query("select 1"));
  await started();
  answers(readyForQuery);
  subject.cancel();
  await hasRun();
  void submit(query("select 2"));
  expect(cancels()).toBe(0);
});

test("a cancel is for the statement that was asked for and not answered, and for no other", async () => {
  const { subject, submit, started, answers, cancels } = await client();
  void submit(query("select 1"), query("select 2"));
  await started();
  answers(readyForQuery);
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  subject.cancel();
  expect(cancels()).toBe(1);
  vi.advanceTimersByTime(limits.cancelAgainMs);
  expect(cancels()).toBe(2);
  answers(readyForQuery);
  // It is repeated only for the statement that it was for.
  vi.advanceTimersByTime(100 * limits.cancelAgainMs);
  expect(cancels()).toBe(2);
});

test("a cancel is for what runs in a pipeline that has no end yet", async () => {
  const { subject, submit, started, cancels } = await client();
  void submit(message("E", "", "\0\0\0\0"), message("H"));
  await started();
  subject.cancel();
  expect(cancels()).toBe(1);
  subject.crashed();
});

test("a batch is settled when PostgreSQL asks for more, also in the middle of a COPY", async () => {
  const { submit, started, input, hasRun } = await client();
  let settled = 0;
  void submit(query("copy t from stdin")).then(() => settled++);
  await started();
  expect(settled).toBe(0);
  const more = input().read(8192);
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(1);
  void submit(message("d", "1")).then(() => settled++);
  expect(Buffer.from(await more).toString("latin1", 0, 1)).toBe("d");
  expect(settled).toBe(1);
  await hasRun();
  expect(settled).toBe(2);
});

test("what a client that is ended had sent and nobody has begun does not run", async () => {
  const { subject, submit, started, input, closed } = await client();
  void submit(query("select 1"));
  await started();
  void submit(query("insert into t values (1)"));
  expect(input().pending).toBe(true);
  await subject.end();
  expect(input().pending).toBe(false);
  expect(closed()).toBe(1);
  await submit(query("insert into t values (2)"));
  expect(input().pending).toBe(false);
});

test.each(["createSession", "run", "closeSession"] as const)(
  "an exception of %s is a crash, not an end",
  async (call) => {
    const { subject, submit, started, crashes } = await client(call);
    let settled = 0;
    void submit(query("select 1")).then(() => settled++);
    await started();
    if (call === "closeSession") void subject.end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(crashes).toEqual([new Error(`${call} has failed`)]);
    // Its client is told of the crash before it is settled.
    expect(settled).toBe(0);
  },
);

test("a client that PostgreSQL refuses without a word is not left waiting", async () => {
  const { submit, finished } = await client(undefined, true);
  await submit(query("select 1"));
  expect(finished()).toBe(1);
});

test("what was answered in the turn in which PostgreSQL crashes is sent", async () => {
  const { subject, submit, started, answers, sent } = await client();
  void submit(query("insert into t values (1)"), query("select crash()"));
  await started();
  answers(readyForQuery);
  subject.crashed();
  expect(Buffer.concat(sent)).toEqual(readyForQuery);
});

test.each([
  ["Query", query("select 'ä'")],
  ["Parse", message("P", "name\0select 'ä'\0", "\0\0")],
])("a session is named after the text of its last %s, without what ends it", async (_, bytes) => {
  const { subject, owner, submit, started } = await client();
  submit(bytes);
  await started();
  expect(Buffer.from(owner().statement).toString()).toBe("select 'ä'");
  expect(subject.statement).toBe("select 'ä'");
});
