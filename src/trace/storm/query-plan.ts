/**
 * Which query a client makes next, and how it is cut: a function of the seed.
 *
 * Owns: the choice. Does not own: the shapes and splits to choose from.
 * Invariant: pure; the same seed, client and number (and use of the kept statement) give the same query.
 */
import type { Exchange } from "./exchange.ts";
import { Random } from "./random.ts";
import { makeExchange, type Shape } from "./shapes.ts";
import { type Split, type Step, splitExchange } from "./split.ts";

/** What all clients of a storm choose from. */
export interface StormChoice {
  readonly seed: number;
  readonly shapes: readonly Shape[];
  readonly splits: readonly Split[];
}

/** A query to be made. */
export interface PlannedQuery {
  readonly shape: Shape;
  readonly split: Split;
  readonly exchange: Exchange;
  readonly steps: readonly Step[];
}

// One byte at a time takes many turns of the event loop, so it is the rarer choice where there are others.
const oneInBytes = 20;
// A connection has to live for a while to keep anything.
const oneInHangUps = 10;

/** Plans a client's query; `keptUses` as in `Source`. */
export function planQuery(choice: StormChoice, client: number, query: number, keptUses: number): PlannedQuery {
  const random = new Random(choice.seed, client, query);
  const shape = pickShape(choice.shapes, random);
  const split = pickSplit(choice.splits, random);
  const exchange = makeExchange(shape, { client, query, random, keptUses });
  return { shape, split, exchange, steps: splitExchange(exchange, split, random) };
}

function pickShape(shapes: readonly Shape[], random: Random): Shape {
  const shape = random.pick(shapes);
  return shape === "hang-up" && !random.oneIn(oneInHangUps) ? random.pick(shapes) : shape;
}

function pickSplit(splits: readonly Split[], random: Random): Split {
  const quick = splits.filter((split) => split !== "bytes");
  if (quick.length === splits.length) return random.pick(splits);
  return quick.length === 0 || random.oneIn(oneInBytes) ? "bytes" : random.pick(quick);
}
