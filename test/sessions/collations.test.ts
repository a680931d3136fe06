/**
 * The order of text, and upper and lower case: PostgreSQL's own tables by default, ICU's for all languages.
 *
 * The orders are compared with Node's Intl, whose ICU has the same rules for these words; case and classes of characters, code point by code
 * point, with a real PostgreSQL.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { findRealPostgres, howToGetOne, startRealPostgres } from "../support/real-postgres.ts";

let db: DevDb;
let client: pg.Client;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  client = new pg.Client(db.url);
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await db.close();
});

const values = async (sql: string, ...parameters: unknown[]): Promise<unknown[]> =>
  (await client.query({ text: sql, values: parameters, rowMode: "array" })).rows.flat();

/** Words in ten scripts, with what languages tailor: digraphs, letters with marks, upper case, numbers, punctuation. */
const words = `
  a A á à â ä Ä å Å æ Æ aa Aa b B c ç č ć ch Ch cs d dz dž đ ð e é è ê ë ě f g gy ğ h i I ı İ í j k l ll ł lj m n ñ ň ng nj ny
  o ó ô ö Ö ő ø Ø œ p q r ř rr s ß š ś ş sz ss t þ th u ú ü Ü ű v w x y ý z ž ź ż zs 1 2 10 - _ co-op coop resume résumé Zürich zebra
  Ångström αβγ Ω ω ά ж Ж щ ё е ї і љ њ ա բ և א ב ש ا آ أ ب پ ت ي ی ک ك अ आ क ख ज़ अं বা ক ক্ষ த க క ಕ ക ක ก เก แก ขา ໄກ ກ កា က ⴰ ა ბ
  あ ア か が ガ カー 漢 字 中 国 一 丁 가 나 각 ㄱ ሀ ለ ཀ ཁ 𐐀 😀 😁 $ € £ Ⅷ ﬁ fi fj`
  .trim()
  .split(/\s+/);

test("each ICU collation has the order that Node's ICU has", async () => {
  const { rows } = await client.query(
    "select collname as name, colllocale as locale from pg_collation where collprovider = 'i' and collname like '%-x-icu'",
  );
  expect(rows.length).toBeGreaterThan(850);
  // Node's ICU has no Cantonese.
  const supported = rows.filter(({ locale }) => !locale.startsWith("yue"));
  const different: string[] = [];
  for (const { name, locale } of supported) {
    const { compare } = new Intl.Collator(locale);
    const wanted = words.toSorted((a, b) => compare(a, b) || Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const found = await values(`select x from unnest($1::text[]) x order by x collate "${name}"`, words);
    if (found.join() !== wanted.join()) different.push(name);
  }
  expect(different).toEqual([]);
});

test("keywords of a collation are obeyed", async () => {
  await client.query(`create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create collation numbers (provider = icu, locale = 'en-u-kn-true');
    create collation uppercase (provider = icu, locale = 'en-u-kf-upper');
    create collation phonebook (provider = icu, locale = 'de-u-co-phonebk');
    create table names (name text collate caseless unique); insert into names values ('ABC')`);
  await expect(client.query("insert into names values ('abc')")).rejects.toMatchObject({ code: "23505" });
  const ordered = (collation: string, ...texts: string[]) =>
    values(`select x from unnest($1::text[]) x order by x collate ${collation}`, texts);
  expect(await ordered("numbers", "a10", "a9", "a1")).toEqual(["a1", "a9", "a10"]);
  expect(await ordered("uppercase", "a", "A")).toEqual(["A", "a"]);
  expect(await ordered("phonebook", "Az", "Ä", "Af")).toEqual(["Ä", "Af", "Az"]);
  expect(await values(`select initcap('hELLO wORLD' collate "en-x-icu"), upper('i' collate "tr-x-icu")`)).toEqual([
    "Hello World",
    "İ",
  ]);
});

test("a database has the order of code points, and of a locale of ICU's with --icu-locale", async () => {
  const inOrder = async (url: string) => {
    const other = new pg.Client(url);
    await other.connect();
    await other.query("create table t (x text primary key); insert into t values ('Z'), ('ä'), ('a'), ('B')");
    await other.query("set enable_sort = off; set enable_bitmapscan = off; set enable_seqscan = off");
    const { rows } = await other.query("select x from t order by x");
    await other.end();
    return rows.map(({ x }) => x);
  };
  expect(await inOrder(db.url)).toEqual(["B", "Z", "a", "ä"]);
  const english = await startDevDb({ port: 0, migrations: "none", icuLocale: "en_US", database: "app" });
  expect(await inOrder(english.url)).toEqual(["a", "ä", "B", "Z"]);
  const branch = await english.branch();
  const there = new pg.Client(branch.url);
  await there.connect();
  expect((await there.query("select x from t order by x")).rows.map(({ x }) => x)).toEqual(["a", "ä", "B", "Z"]);
  await there.end();
  await english.close();
});

test.each(["xx-YY", "en-US-u-ks-level9"])("--icu-locale %s is refused by name", async (icuLocale) => {
  await expect(startDevDb({ port: 0, migrations: "none", icuLocale })).rejects.toThrow(
    new RegExp(`^icuLocale in the options: "${icuLocale}" is not an ICU locale`),
  );
});

test("the archive of ICU's data is the one that scripts/icu-data.sh made", () => {
  const archive = readFileSync(new URL("../../src/cluster/icu76.tar.gz", import.meta.url));
  expect(createHash("sha256").update(archive).digest("hex")).toBe(
    "1f98c102cbc3c98d4d061b693a38329cc454376e0fddca37535f1c125a783495",
  );
});

test("case and classes of all characters are those of a real PostgreSQL with the builtin provider", async (context) => {
  if (!findRealPostgres()) context.skip(howToGetOne);
  const real = await startRealPostgres();
  const there = new pg.Client({ host: real.host, port: real.port, user: "postgres" });
  await there.connect();
  const classes = "alpha digit space punct upper lower alnum graph print cntrl xdigit".split(" ");
  const facts = (
    character: string,
  ) => `select md5(string_agg(concat_ws('|', upper(${character}), lower(${character}), initcap(${character}),
    ${classes.map((name) => `${character} ~ '[[:${name}:]]'`).join()}), ',' order by i)) from generate_series($1::int, $2::int) i where i not between 55296 and 57343`;
  for (let from = 1; from <= 0x10ffff; from += 0x4000) {
    const to = Math.min(from + 0x3fff, 0x10ffff);
    const { rows } = await there.query({
      text: facts('(chr(i) collate "pg_c_utf8")'),
      values: [from, to],
      rowMode: "array",
    });
    expect(await values(facts("chr(i)"), from, to), `code points from ${from}`).toEqual(rows.flat());
  }
  await there.end();
  await real.stop();
});
