/**
 * The cleanup stack: what is opened is closed, once, in reverse order, whenever the closing begins.
 */
import { expect, test } from "vitest";
import { CleanupStack } from "../../../src/dev-db/cleanup.ts";

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

test("closes the newest first, one after the other", async () => {
  const stack = new CleanupStack();
  const events: string[] = [];
  for (const name of ["a", "b"]) {
    await stack.open(
      async () => name,
      async (thing) => {
        events.push(`close ${thing}`);
        await Promise.resolve();
        events.push(`closed ${thing}`);
      },
    );
  }
  stack.defer(() => void events.push("deferred"));
  await stack.close();
  expect(events).toEqual(["deferred", "close b", "closed b", "close a", "closed a"]);
});

test("a thing that is still being opened is closed once it is open", async () => {
  const stack = new CleanupStack();
  const opening = deferred<string>();
  const closed: string[] = [];
  const opened = stack.open(
    () => opening.promise,
    (thing) => void closed.push(thing),
  );
  const closing = stack.close();
  expect(closed).toEqual([]);
  opening.resolve("late");
  await closing;
  expect(closed).toEqual(["late"]);
  await expect(opened).resolves.toBe("late");
});

test("a thing that could not be opened is not closed", async () => {
  const stack = new CleanupStack();
  const fails = stack.open(
    () => Promise.reject(new Error("no")),
    () => expect.unreachable(),
  );
  await expect(fails).rejects.toThrow("no");
  await stack.close();
});

test("nothing can be opened once the closing has begun", async () => {
  const stack = new CleanupStack();
  const closing = stack.close();
  let opened = false;
  const late = stack.open(
    async () => {
      opened = true;
    },
    () => {},
  );
  await expect(late).rejects.toThrow("stopped");
  expect(() => stack.defer(() => {})).toThrow("stopped");
  expect(opened).toBe(false);
  await closing;
});

test("two closes at once are one: both wait for its end", async () => {
  const stack = new CleanupStack();
  const held = deferred<void>();
  let count = 0;
  stack.defer(() => {
    count++;
    return held.promise;
  });
  const ends: string[] = [];
  const closes = ["first", "second"].map((name) => stack.close().then(() => ends.push(name)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(ends).toEqual([]);
  held.resolve();
  await Promise.all(closes);
  await stack.close();
  expect(count).toBe(1);
});

test("one that cannot be closed does not keep the others open, and its error is not lost", async () => {
  const stack = new CleanupStack();
  const closed: string[] = [];
  stack.defer(() => void closed.push("first"));
  stack.defer(() => Promise.reject(new Error("one")));
  await expect(stack.close()).rejects.toThrow("one");
  expect(closed).toEqual(["first"]);

  const both = new CleanupStack();
  both.defer(() => Promise.reject(new Error("one")));
  both.defer(() => {
    throw new Error("two");
  });
  await expect(both.close()).rejects.toMatchObject({ errors: [{ message: "two" }, { message: "one" }] });
});
