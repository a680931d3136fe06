import { expect, test } from "vitest";
import { PagePool, pageBytes } from "../../../../src/engine/thread/sessions/page-pool.ts";
import { Random, runSeed } from "../../../support/random.ts";

const blockBytes = 4 << 20;
const blockPages = blockBytes / pageBytes;

function take(pool: PagePool, count: number): number[] {
  return Array.from({ length: count }, () => pool.take());
}

function release(pool: PagePool, places: readonly number[]): void {
  for (const place of places) pool.release(place);
}

test("a place that several use is free when the last one has released it", () => {
  const pool = new PagePool();
  const place = pool.take();
  expect(pool.at(place)).toHaveLength(pageBytes);
  expect(pool.isShared(place)).toBe(false);
  expect(pool.share(place)).toBe(place);
  expect(pool.isShared(place)).toBe(true);
  pool.release(place);
  expect(pool.isShared(place)).toBe(false);
  expect(take(pool, 50)).not.toContain(place);
  pool.release(place);
  expect(pool.take()).toBe(place);
  expect(pool.isShared(place)).toBe(false);
});

test("a place that is given back twice, or shared when it is free, ends the engine instead of two sessions' memory", () => {
  const pool = new PagePool();
  const [place] = take(pool, 2) as [number];
  pool.release(place);
  expect(() => pool.release(place)).toThrow("given back once");
  expect(() => pool.share(place)).toThrow("shared with somebody who uses it");
});

test("what one large image needed is given back, but for one block", () => {
  const pool = new PagePool();
  const small = take(pool, 10);
  const large = take(pool, 9 * blockPages);
  expect(pool.size).toBe(10 * blockBytes);
  release(pool, large);
  expect(pool.size).toBe(2 * blockBytes);
  pool.at(small[9]!).fill(7);
  const again = take(pool, 3 * blockPages);
  expect(pool.size).toBe(4 * blockBytes);
  expect(new Set([...small, ...again]).size).toBe(10 + 3 * blockPages);
  release(pool, [...small, ...again]);
  expect(pool.size).toBe(blockBytes);
});

test(`no place belongs to two (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  const pool = new PagePool();
  const images: { readonly mark: number; readonly places: number[] }[] = [];
  for (let mark = 1; mark < 400; mark++) {
    if (random.oneIn(2) && images.length > 0) {
      const [{ places }] = images.splice(random.below(images.length), 1) as [(typeof images)[number]];
      release(pool, places);
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
