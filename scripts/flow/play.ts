/**
 * A play: one random conversation of a few clients, as data, and how it is made.
 *
 * Owns: what can be in a play, how likely it is, how it reads in a report. Does not own: the bytes of a request and its answer
 * (`requests.ts`), doing it (`performance.ts`).
 * Invariant: a play depends on nothing that a server says; fast-check shrinks every number and list in it.
 */
import fc from "fast-check";

/** What a client asks for, and how much of it, in bytes. */
export interface Request {
  /**
   * `rows` and `copy out` come from the server, `length` and `copy in` go there, `echo` both; `fail` is an error, `sleep` is
   * cancelled until it ends.
   */
  readonly ask: "rows" | "length" | "echo" | "copy in" | "copy out" | "fail" | "sleep";
  /** Whether it goes as Parse, Bind, Execute, where it can. */
  readonly isExtended: boolean;
  readonly bytes: number;
  /** The size of a row or of a CopyData message. */
  readonly piece: number;
  /** What follows an extended one. */
  readonly end: "sync" | "flush" | "nothing";
  /** Whether its answer is waited for before more is sent. */
  readonly isAwaited: boolean;
}

/** How a client leaves: see `fuzz/play.ts`; `stay` keeps its connection for the next play. */
type Leaving = "stay" | "terminate" | "fin" | "rst" | "half-close";

/** One client. */
export interface Part {
  readonly requests: readonly Request[];
  /** Where what is sent at once is cut into writes: below 64 in bytes, above in 65536ths of the whole. */
  readonly cuts: readonly number[];
  /** Between two writes, in ms; 0 is a turn of the event loop. */
  readonly gapMs: number;
  /** It stops reading for `pauseMs` after each `every` bytes, `times` times. */
  readonly reading: { readonly every: number; readonly pauseMs: number; readonly times: number };
  /** A CancelRequest so many ms after what is sent first; undefined for none. */
  readonly cancelAfterMs: number | undefined;
  readonly leaving: Leaving;
  /** How much of its bytes it sends before it leaves in a way that answers nothing, in 65536ths. */
  readonly leavesAt: number;
}

/** A conversation. */
export interface Play {
  readonly parts: readonly Part[];
}

const kilobyte = 1024;
const smallest = fc.integer({ min: 0, max: 3000 });
const near = (limits: readonly number[], reach: number) =>
  fc
    .tuple(fc.constantFrom(...limits), fc.integer({ min: -reach, max: reach }))
    .map(([limit, by]) => Math.max(0, limit + by));
const middling = fc.oneof(
  near(
    [8, 16, 32, 64].map((n) => n * kilobyte),
    40,
  ),
  near(
    [128, 256].map((n) => n * kilobyte),
    40,
  ),
);
const largeLimits = [512, 1024, 2048, 4096].map((n) => n * kilobyte);
// What is under way behind another limit counts as well.
const sums = largeLimits.flatMap((limit) => [64, 128, 256].map((n) => limit + n * kilobyte));
const large = fc.oneof(near(largeLimits, 40), near(sums, 8300), fc.integer({ min: 0, max: 6 << 20 }));

const pieces = fc.constantFrom(1000, 100, 8100, 65_536, 1 << 20, 1 << 23);

function requestOf(size: fc.Arbitrary<number>): fc.Arbitrary<Request> {
  return fc.record({
    ask: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("rows" as const, "length" as const) },
      { weight: 4, arbitrary: fc.constantFrom("echo" as const, "copy in" as const, "copy out" as const) },
      { weight: 1, arbitrary: fc.constant("fail" as const) },
    ),
    isExtended: fc.boolean(),
    bytes: size,
    piece: pieces,
    end: fc.constantFrom("sync" as const, "flush" as const, "nothing" as const),
    isAwaited: fc.boolean(),
  });
}

const steady = fc.constant({ every: 0, pauseMs: 0, times: 0 });
const stopping = fc.record({
  every: fc.constantFrom(1, 1000, 65_536, 200_000, 1 << 20),
  pauseMs: fc.integer({ min: 0, max: 25 }),
  times: fc.integer({ min: 1, max: 5 }),
});
const leavings = fc.oneof(
  { weight: 95, arbitrary: fc.constant("stay" as const) },
  {
    weight: 5,
    arbitrary: fc.constantFrom("terminate" as const, "fin" as const, "rst" as const, "half-close" as const),
  },
);

function partOf(size: fc.Arbitrary<number>, isLarge: boolean): fc.Arbitrary<Part> {
  return fc.record({
    requests: fc.array(requestOf(size), { minLength: 1, maxLength: isLarge ? 4 : 3 }),
    cuts: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.integer({ min: 0, max: 65_535 }), { maxLength: 6 }) },
    ),
    gapMs: fc.oneof(
      { weight: 19, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }) },
    ),
    reading: isLarge
      ? fc.oneof(steady, stopping)
      : fc.oneof({ weight: 39, arbitrary: steady }, { weight: 1, arbitrary: stopping }),
    cancelAfterMs: fc.oneof(
      { weight: 29, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 6 }) },
    ),
    leaving: leavings,
    leavesAt: fc.integer({ min: 0, max: 65_535 }),
  });
}

function playOf(size: fc.Arbitrary<number>, isLarge: boolean): fc.Arbitrary<Play> {
  return fc.record({
    parts: fc.oneof(
      { weight: 2, arbitrary: fc.array(partOf(size, isLarge), { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(partOf(size, isLarge), { minLength: 2, maxLength: 3 }) },
    ),
  });
}

const sleeper: Request = { ask: "sleep", isExtended: false, bytes: 0, piece: 1, end: "sync", isAwaited: false };
/** A statement that goes on until it is cancelled, with other requests behind it. */
const sleeping = playOf(fc.oneof(smallest, middling, large), true).map(({ parts: [first, ...others] }) => ({
  parts: [{ ...first!, leaving: "stay" as const, requests: [sleeper, ...first!.requests.slice(0, 2)] }, ...others],
}));

/**
 * Plays, of which so many in a thousand are large; most others are small.
 */
export function plays(largeInThousand: number): fc.Arbitrary<Play> {
  const mixed = fc.oneof({ weight: 2, arbitrary: smallest }, { weight: 1, arbitrary: middling });
  const anything = fc.oneof({ weight: 1, arbitrary: smallest }, { weight: 4, arbitrary: large });
  const sleeps = Math.ceil(largeInThousand / 4);
  return fc.oneof(
    { weight: Math.max(1, 960 - largeInThousand - sleeps), arbitrary: playOf(smallest, false) },
    { weight: 40, arbitrary: playOf(mixed, false) },
    { weight: largeInThousand, arbitrary: playOf(anything, true) },
    { weight: sleeps, arbitrary: sleeping },
  );
}

/** The play as lines of text. */
export function describePlay({ parts }: Play): string[] {
  return parts.flatMap((part, client) => {
    const { reading, cancelAfterMs, leaving, leavesAt, cuts, gapMs } = part;
    const notes = [
      cuts.length > 0 ? `cut at ${cuts.join(", ")}, ${gapMs} ms between` : "",
      reading.times > 0
        ? `stops reading for ${reading.pauseMs} ms after each ${reading.every} bytes, ${reading.times} times`
        : "",
      cancelAfterMs === undefined ? "" : `cancels after ${cancelAfterMs} ms`,
      leaving === "stay" ? "" : `leaves: ${leaving}${leaving === "terminate" ? "" : ` at ${leavesAt}/65536`}`,
    ].filter((note) => note !== "");
    return [
      `client ${client}${notes.length > 0 ? `: ${notes.join("; ")}` : ""}`,
      ...part.requests.map(describeRequest),
    ];
  });
}

function describeRequest({ ask, isExtended, bytes, piece, end, isAwaited }: Request): string {
  return `  ${ask} ${bytes} bytes in pieces of ${piece}, ${isExtended ? `extended, then ${end}` : "simple"}${isAwaited ? ", awaited" : ""}`;
}
