/**
 * A sequence: numbers are taken, set, and their step is changed.
 *
 * Engine: PostgreSQL logs 32 numbers ahead (commands/sequence.c, SEQ_LOG_VALS), which a kill skips; none comes twice.
 */
import type { Change, Subject } from "../subject.ts";

interface Sequence {
  /** The next number is at least this. */
  readonly next: number;
  readonly step: number;
}

const loggedAhead = 33;

/** A sequence: no number that was answered comes again. */
export const sequence: Subject<Sequence> = {
  name: "sequence",
  setUp: (run) => run("create sequence k_sequence"),
  initial: { next: 1, step: 1 },
  next: ({ next, step }, random): Change<Sequence> => {
    const choice = random.below(8);
    if (choice === 0) {
      const value = next + random.below(1000);
      return { statement: `select setval('k_sequence', ${value})`, after: { next: value + step, step } };
    }
    if (choice === 1) {
      const other = 1 + random.below(5);
      // The restart makes the state known: a step is added to the last number, which the client has not seen.
      const statement = `alter sequence k_sequence increment by ${other} restart with ${next}`;
      return { statement: statement, after: { next, step: other } };
    }
    const count = 1 + random.below(40);
    const take = `select max(nextval('k_sequence')) from generate_series(1, ${count})`;
    return { statement: take, after: { next: next + count * step, step } };
  },
  observe: async (run) => {
    const [row] = await run(
      `select last_value::int as last, is_called, seqincrement::int as step
       from k_sequence, pg_sequence where seqrelid = 'k_sequence'::regclass`,
    );
    const step = Number(row?.step);
    return { next: Number(row?.last) + (row?.is_called ? step : 0), step };
  },
  matches: (found, expected) =>
    found.step === expected.step &&
    found.next >= expected.next &&
    found.next <= expected.next + loggedAhead * expected.step,
};
