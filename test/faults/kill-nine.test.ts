/** kill -9 under load and in the first start, a few times; more in `kill-nine.long.test.ts`. */
import { describe, expect, test } from "vitest";
import { Ledger } from "../../scripts/kill-nine/ledger.ts";
import { Tracked } from "../../scripts/kill-nine/subject.ts";
import { Random } from "../../src/trace/storm/random.ts";
import { checkKillNine } from "../support/kill-nine.ts";
import { runSeed } from "../support/random.ts";

test(`two rounds, seed ${runSeed}`, () => checkKillNine("isolated", "off", 2, 0));

describe("what is wrong with an object is seen", () => {
  type Counter = { readonly count: number };
  /** A subject whose database is `found`. */
  function counter(found: Counter) {
    return new Tracked<Counter>({
      name: "counter",
      initial: { count: 0 },
      setUp: () => Promise.resolve(),
      next: ({ count }) => ({
        statement: "count",
        after: { count: count + 1 },
        halfway: { count: -1 },
        refusal: "55000",
      }),
      observe: () => Promise.resolve(found),
      afterKill: ({ count }) => ({ count: count > 10 ? 0 : count }),
    });
  }
  const run = () => Promise.resolve([]);
  const random = new Random(1);

  test("an answered change must be there; one without an answer may be, whole or as PostgreSQL may leave it", async () => {
    for (const count of [0, 1, -1]) {
      const tracked = counter({ count });
      tracked.begin(random);
      expect(await tracked.check(run, ["killed"])).toEqual([]);
    }
    const answered = counter({ count: 0 });
    answered.begin(random);
    answered.settle();
    expect(await answered.check(run, ["killed"])).toEqual(['counter: found {"count":0}, expected {"count":1}']);
    const other = counter({ count: 2 });
    other.begin(random);
    expect(await other.check(run, ["stopped"])).toEqual([
      'counter: found {"count":2}, expected {"count":0}, or {"count":1}, or {"count":-1}; not answered: count',
    ]);
  });

  test("a change may be refused for what an interrupted one has left, and for nothing else", async () => {
    const tracked = counter({ count: 0 });
    tracked.begin(random);
    expect(tracked.refuse("55000")).toBe(false);
    expect(await tracked.check(run, ["killed"])).toEqual([]);
    tracked.begin(random);
    expect(tracked.refuse("42P01")).toBe(false);
    expect(tracked.refuse("55000")).toBe(true);
    expect(await tracked.check(run, ["killed"])).toEqual([]);
  });

  test("what a kill takes away must be gone after one, and there after a stop", async () => {
    const full = { count: 11 };
    const kept = counter(full);
    for (let count = 0; count < 11; count++) {
      kept.begin(random);
      kept.settle();
    }
    expect(await kept.check(run, ["stopped"])).toEqual([]);
    expect(await kept.check(run, ["killed"])).toEqual(['counter: found {"count":11}, expected {"count":0}']);
    expect(await kept.check(run, ["stopped", "killed"])).toEqual([]);
  });
});

describe("what is wrong with rows is seen", () => {
  const row = (n: number) => ({ writer: 0, n });
  function ledger() {
    const made = new Ledger();
    made.send(0, 1, 2).answered = true;
    made.send(0, 3, 2);
    return made;
  }

  test("all there, with or without what was not answered, is right, and then known", () => {
    expect(ledger().check([row(1), row(2)])).toEqual([]);
    const kept = ledger();
    expect(kept.check([row(1), row(2), row(3), row(4)])).toEqual([]);
    expect(kept.counts()).toEqual({ sent: 4, answered: 4 });
    expect(kept.check([row(1), row(2)])).toEqual(["writer 0, rows 3 to 4: answered, and 2 of 2 are missing"]);
  });

  test("a missing row, half a transaction and a row of nobody are named", () => {
    expect(ledger().check([row(1)])).toEqual(["writer 0, rows 1 to 2: answered, and 1 of 2 are missing"]);
    expect(ledger().check([row(1), row(2), row(3)])).toEqual(["writer 0, rows 3 to 4: 1 of 2 are there"]);
    expect(ledger().check([row(1), row(2), row(9)])).toEqual(["1 rows that nobody sent, such as 0/9"]);
  });
});
