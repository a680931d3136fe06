/**
 * Large objects: made, written over, unlinked.
 *
 * Owns: a table that has one in each row. What is in an object is compared by its md5, and there must be none that no row
 * knows: an object and its row come and go in one transaction.
 */
import { createHash } from "node:crypto";
import type { Change, Subject } from "../subject.ts";

interface LargeObject {
  readonly slot: number;
  readonly md5: string;
  readonly bytes: number;
}
/** In the order of their slots. */
type LargeObjects = readonly LargeObject[];

const slots = 4;
const mostBytes = 20_000;

/** Large objects, and the table of them. */
export const largeObjects: Subject<LargeObjects> = {
  name: "large objects",
  setUp: (run) => run("create table k_large (slot int primary key, object oid)"),
  initial: [],
  next: (state, random): Change<LargeObjects> => {
    const slot = random.below(slots);
    const old = state.find((object) => object.slot === slot);
    const others = state.filter((object) => object !== old);
    if (old && random.oneIn(3)) {
      return {
        statement: `with gone as (delete from k_large where slot = ${slot} returning object) select lo_unlink(object) from gone`,
        after: others,
      };
    }
    const letter = random.pick(["a", "b", "c"]);
    // One that is there is written over from its beginning; it does not get shorter by that.
    const bytes = (old?.bytes ?? 0) + random.below(mostBytes - (old?.bytes ?? 0));
    const text = letter.repeat(bytes);
    const content = `convert_to(repeat('${letter}', ${bytes}), 'UTF8')`;
    const statement = old
      ? `select lo_put(object, 0, ${content}) from k_large where slot = ${slot}`
      : `insert into k_large values (${slot}, lo_from_bytea(0, ${content}))`;
    const made = { slot, md5: createHash("md5").update(text).digest("hex"), bytes };
    return { statement: statement, after: [...others, made].sort((one, other) => one.slot - other.slot) };
  },
  observe: async (run) => {
    const rows = await run(
      "select slot, md5(lo_get(object)) as md5, length(lo_get(object)) as bytes from k_large order by slot",
    );
    const [all] = await run("select count(*)::int as count from pg_largeobject_metadata");
    const known = rows.map(({ slot, md5, bytes }) => ({ slot: Number(slot), md5: String(md5), bytes: Number(bytes) }));
    const lost = Number(all?.count) - known.length;
    return lost === 0 ? known : [...known, { slot: -1, md5: `${lost} objects that no row knows`, bytes: 0 }];
  },
};
