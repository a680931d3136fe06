/**
 * Talk with COPY, in both directions and both protocols.
 *
 * Owns: what is sent as data, and what is sent where data belongs. Does not own: anything around a COPY.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { message } from "../../../test/support/wire-client.ts";
import { bigFrame, type Frame, frame, query, type Step, step } from "../frame.ts";

const intoTable = [
  "copy t from stdin",
  "copy t (n) from stdin (format csv)",
  "copy t from stdin (format binary)",
  "copy t from stdin; select 1",
  "select 1; copy t from stdin",
  "copy nowhere from stdin",
  "copy (select 1) from stdin",
  "copy t from stdin with (on_error ignore)",
];
const data: readonly (() => Frame)[] = [
  () => frame('CopyData "1\\n"'),
  () => frame('CopyData "1\\n2\\n3\\n"'),
  () => frame('CopyData "4"'),
  () => frame('CopyData "x\\n"'),
  () => frame('CopyData "\\\\.\\n"'),
  () => frame('CopyData ""'),
  () => frame("CopyData hex 5047434f50590aff0d0a000000000000000000"),
  () => bigFrame("CopyData", message.copyData("12345\n".repeat(20_000))),
];
const endings = ["CopyDone", "CopyDone", "CopyDone", 'CopyFail "no"'];
const strangers = ["Sync", "Flush", 'Query "select 1"', 'Parse "" "select 1"', 'Execute "" 0', "CopyDone"];

/** COPY FROM STDIN by a Query, complete or with something in it that does not belong there. */
export function copyInTalk(random: Random): Step[] {
  const begin = random.oneIn(3) ? [step("Z", query("begin"))] : [];
  const commit = begin.length > 0 && random.oneIn(2) ? [step("Z", query("commit"))] : [];
  const ask = query(random.oneIn(3) ? random.pick(intoTable) : "copy t from stdin");
  const rest = [...someData(random), frame(random.pick(endings))];
  if (random.oneIn(3)) return [...begin, step("Z", ask, ...rest), ...commit];
  const inPieces = random.oneIn(2)
    ? [step("Z", ...rest)]
    : rest.map((one, i) => step(i === rest.length - 1 ? "Z" : "", one));
  return [...begin, step("GE", ask), ...inPieces, ...commit];
}

/** COPY FROM STDIN through Parse, Bind and Execute. */
export function copyInExtendedTalk(random: Random): Step[] {
  const open = ['Parse "" "copy t from stdin"', 'Bind "" ""', 'Execute "" 0'].map(frame);
  const rest = [...someData(random), frame(random.pick(endings)), frame("Sync")];
  // libpq sends the Sync with the Execute; the server has to ignore that one.
  if (random.oneIn(3)) return [step("GE", ...open, frame("Sync")), step("Z", ...rest)];
  if (random.oneIn(2)) return [step("GE", ...open, frame("Flush")), step("Z", ...rest)];
  return [step("Z", ...open, ...rest)];
}

/** COPY TO STDOUT in both protocols. */
export function copyOutTalk(random: Random): Step[] {
  const sql = `copy (select n, repeat('x', ${random.pick([1, 100, 5_000])}) from generate_series(1, 200) n) to stdout`;
  if (random.oneIn(2)) return [step("Z", query(`${sql}${random.oneIn(3) ? " (format binary)" : ""}`))];
  return [
    step("Z", frame(`Parse "" ${JSON.stringify(sql)}`), frame('Bind "" ""'), frame('Execute "" 0'), frame("Sync")),
  ];
}

function someData(random: Random): Frame[] {
  const frames = Array.from({ length: random.below(4) }, () => random.pick(data)());
  if (random.oneIn(4)) frames.splice(random.below(frames.length + 1), 0, frame(random.pick(strangers)));
  return frames;
}
