import { expect, test } from "vitest";
import { PagePool, pageBytes } from "../../../../src/engine/thread/sessions/page-pool.ts";
import { Random, runSeed } from "../../../support/random.ts";

const blockBytes = 4 << 20;
const blockPages = blockBytes / pageBytes;

function take(pool: PagePool, count: number): number[] {
  return Array.from({ length: count }, () => pool.take());
}

test("places lie side by side as they are taken, also those that were given back", () => {
  const pool = new PagePool();
  for (let round = 0; round < 3; round++) {
    const places = take(pool, 100);
    for (const [at, place] of places.entries()) if (at > 0) expect(pool.isNext(places[at - 1]!, place)).toBe(true);
    expect(pool.at(places[0]!, 100)).toHaveLength(100 * pageBytes);
    pool.free(places);
  }
});

test("the last place of a block has no next one", () => {
  const pool = new PagePool();
  const places = take(pool, blockPages + 1);
  expect(pool.isNext(places.at(-2)!, places.at(-1)!)).toBe(false);
});

test("what one large image needed is given back, but for one block", () => {
  const pool = new PagePool();
  const small = take(pool, 10);
  const large = take(pool, 9 * blockPages);
  expect(pool.size).toBe(10 * blockBytes);
  pool.free(large);
  expect(pool.size).toBe(2 * blockBytes);
  pool.at(small[9]!).fill(7);
  const again = take(pool, 3 * blockPages);
  expect(pool.size).toBe(4 * blockBytes);
  expect(new Set([...small, ...again]).size).toBe(10 + 3 * blockPages);
  pool.free([...small, ...again]);
  expect(pool.size).toBe(blockBytes);
});

test(`no place belongs to two (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  const pool = new PagePool();
  const images: { readonly mark: number; readonly places: number[] }[] = [];
  for (let mark = 1; mark < 400; mark++) {
    if (random.oneIn(2) && images.length > 0) {
      const [{ places }] = images.splice(random.below(images.length), 1) as [(typeof images)[number]];
      pool.free(places);
    }
    const places = take(pool, random.below(random.oneIn(10) ? 3000 : 50));
    for (const place of places) new DataView(pool.at(place).buffer, pool.at(place).byteOffset).setInt32(0, mark);
    images.push({ mark, places });
    for (const image of images) {
      for (const place of image.places) {
        const page = pool.at(place);
        if (new DataView(page.buffer, page.byteOffset).getInt32(0) !== image.mark) throw new Error(`seed ${runSeed}`);
      }
    }
  }
  const used = images.reduce((sum, { places }) => sum + places.length, 0);
  expect(pool.size).toBeGreaterThanOrEqual(used * pageBytes);
});
