/**
 * Random conversations for the model of a session.
 *
 * Owns: which messages a client may send next. Does not own: what they do.
 * Invariant: only statements of `modelSql`; every batch is whole messages.
 */
import { modelSql } from "./model-backend.ts";
import type { Random } from "./random.ts";
import { message } from "./wire-client.ts";

const names = ["", "s1", "s2"];
const portals = ["", "p1"];

/** A statement as clients prepare it: mostly a good one. */
function randomSql(random: Random): string {
  const kind = random.below(18);
  if (kind < 8) return random.of(modelSql.rows);
  if (kind < 10) return modelSql.begin;
  if (kind < 12) return modelSql.commit;
  if (kind < 13) return modelSql.rollback;
  if (kind < 14) return modelSql.deallocateAll;
  return kind < 16 ? modelSql.syntaxError : modelSql.runtimeError;
}

/**
 * A statement that takes one away. Clients run it at once; they do not keep it prepared, and the library does not know
 * what an old one would mean by the name now.
 */
function randomDeallocate(random: Random): Buffer[] {
  const sql = modelSql.deallocate(random.of(["s1", "s2"]));
  if (random.oneIn(2)) return [message.query(sql)];
  return [message.parse("", sql), message.bind("", ""), message.execute(""), message.sync(), message.close("S", "")];
}

/** One message. */
function randomMessage(random: Random): Buffer {
  const name = random.of(names);
  const portal = random.of(portals);
  switch (random.below(12)) {
    case 0:
      // Not in the extended protocol, where it depends on what else is in the pipeline.
      return message.query(random.oneIn(6) ? modelSql.discardAll : randomSql(random));
    case 1:
    case 2:
      return message.parse(name, randomSql(random));
    case 3:
    case 4:
      return message.bind(portal, name);
    case 5:
    case 6:
      return message.execute(portal);
    case 7:
      return message.describe("S", name);
    case 8:
      return message.describe("P", portal);
    case 9:
      return message.close("S", name);
    case 10:
      return message.close("P", portal);
    default:
      return message.sync();
  }
}

/**
 * Where a Query may stand: anywhere, or alone, which is after a Sync and without the portal that it leaves when it
 * fails. PostgreSQL 18 itself gets confused by the others.
 */
export type QueryPlaces = "alone" | "anywhere";

/** The messages of one batch; it ends a pipeline more often than not. */
export function randomBatch(random: Random, queries: QueryPlaces): Buffer[] {
  const messages = randomMessages(random);
  if (queries === "anywhere") return messages;
  return messages.flatMap((one) => (one[0] === 0x51 ? [message.sync(), one, message.close("P", "")] : [one]));
}

function randomMessages(random: Random): Buffer[] {
  const messages: Buffer[] = [];
  for (let left = random.below(7); left > 0; left--) {
    messages.push(...(random.oneIn(12) ? randomDeallocate(random) : [randomMessage(random)]));
  }
  if (random.oneIn(2)) {
    const name = random.of(names);
    const portal = random.of(portals);
    if (random.oneIn(2)) messages.push(message.parse(name, randomSql(random)));
    messages.push(message.bind(portal, name), message.execute(portal));
  }
  if (!random.oneIn(4)) messages.push(message.sync());
  if (messages.length === 0) messages.push(message.flush());
  return messages;
}
