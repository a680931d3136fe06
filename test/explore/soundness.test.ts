/**
 * `strategy: "dpor"` finds every outcome that exhaustive exploration finds: random programs, both ways. PROGRAMS=2000 SEED=… run more of them:
 * `PROGRAMS=2000 npx vitest run test/explore/soundness.test.ts -t more`.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ordersOf, ProgramServer, programOf } from "./programs.ts";

let server: ProgramServer;
beforeAll(async () => {
  server = await ProgramServer.start();
});
afterAll(() => server.close());

/** Programs that differ: more of them say no more. */
const enough = 3;
/** Of what runs with every change: a hole that chance finds is not that change's. `SEED` finds others. */
const seed = Number(process.env.SEED ?? 1);
/** For thousands. */
const longestMs = 6 * 3_600_000;

async function compareMany(count: number, first: number, most: number): Promise<string> {
  const wrong: unknown[] = [];
  let [compared, exhaustive, reduced] = [0, 0, 0];
  for (let number = first; compared < count && wrong.length < enough; number++) {
    const program = programOf(number);
    if (ordersOf(program) > most) continue;
    const found = await server.compare(program, number % 2 === 0);
    compared++;
    exhaustive += found.exhaustive.schedules;
    reduced += found.reduced.schedules;
    const { missing, extra } = found;
    const doubts = [found.exhaustive, found.reduced].filter(({ complete }) => !complete);
    if (missing.length + extra.length + doubts.length > 0)
      wrong.push({ seed: number, program, missing, extra, doubts: doubts.map(({ failing: _, ...rest }) => rest) });
  }
  expect(wrong).toEqual([]);
  return `${compared} programs: ${exhaustive} schedules, ${reduced} with dpor\n`;
}

test(`some random programs come to the same (SEED=${seed})`, async () => {
  process.stdout.write(await compareMany(6, seed, 12));
});

test(`more random programs come to the same (SEED=${seed})`, {
  tags: "long",
  timeout: longestMs,
}, async () => {
  process.stdout.write(await compareMany(Number(process.env.PROGRAMS ?? 24), seed, 150));
});
