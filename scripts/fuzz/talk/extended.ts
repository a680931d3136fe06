/**
 * Talk in the extended protocol: statements, portals, pipelines, and errors in the middle of them.
 *
 * Owns: the order of the messages. Does not own: COPY through the extended protocol (`copy.ts`).
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { encodeMessage } from "../../../src/wire/frontend.ts";
import { type Frame, frame, type Step, step } from "../frame.ts";

const names = ["", "s1", "s2", "ä"];
const portals = ["", "p1", "p2"];
const statements = [
  "select $1::text",
  "select $1::int + $2::int",
  "select generate_series(1, 20)",
  "insert into t values ($1) returning n",
  "select 1/0",
  "selec",
  "",
  "select 1; select 2",
  "begin",
  "commit",
  "rollback",
  "savepoint a",
  "rollback to a",
  "create temp table te(n int)",
  "set statement_timeout to 5000",
  "select pg_sleep(0.01)",
  "listen z",
  "notify z",
  "declare c cursor with hold for select 1",
  "discard all",
  "deallocate all",
];

const quoted = (text: string): string => JSON.stringify(text);
const parse = (name: string, sql: string): Frame => frame(`Parse ${quoted(name)} ${quoted(sql)}`);
const bind = (portal: string, name: string, values: readonly string[]): Frame =>
  frame(["Bind", quoted(portal), quoted(name), ...values.map(quoted)].join(" "));
const describe = (kind: string, name: string): Frame => frame(`Describe ${kind} ${quoted(name)}`);
const execute = (portal: string, limit: number): Frame => frame(`Execute ${quoted(portal)} ${limit}`);
const sync: Frame = frame("Sync");

/** Statements prepared and run as a driver does it. */
export function preparedTalk(random: Random): Step[] {
  const name = random.pick(names);
  const value = random.pick(["1", "-7", "x", ""]);
  const steps = [step("Z", parse(name, "select $1::text"), describe("S", name), sync)];
  for (let left = 1 + random.below(3); left > 0; left--) {
    steps.push(step("Z", bind("", name, [value]), describe("P", ""), execute("", 0), sync));
  }
  if (random.oneIn(2)) steps.push(step("Z", frame(`Close S ${quoted(name)}`), sync));
  return steps;
}

/** A portal that is read piece by piece, with Flush or Sync between the pieces. */
export function portalTalk(random: Random): Step[] {
  const portal = random.pick(portals);
  const begin = random.oneIn(2) ? [step("Z", frame('Query "begin"'))] : [];
  const open = [parse("", "select generate_series(1, 20)"), bind(portal, "", []), execute(portal, 1 + random.below(9))];
  const more = (): Step => step("sCE", execute(portal, 1 + random.below(9)), frame("Flush"));
  const pieces = Array.from({ length: random.below(4) }, more);
  const last = random.oneIn(3) ? [] : [step("Z", frame(`Close P ${quoted(portal)}`), sync)];
  const end = begin.length > 0 && random.oneIn(2) ? [step("Z", frame('Query "commit"'))] : [];
  return [...begin, step("sCE", ...open, frame("Flush")), ...pieces, ...last, ...end];
}

/** A pipeline of any messages, well formed one by one, with the errors that follow from that. */
export function pipelineTalk(random: Random): Step[] {
  const frames = Array.from({ length: 2 + random.below(8) }, () => anyFrame(random));
  const syncs = frames.filter((one) => one === sync || one.line.startsWith("Query")).length;
  const end = random.oneIn(5) ? [] : [sync];
  return [step(Array.from({ length: syncs + end.length }, () => "Z").join(" "), ...frames, ...end)];
}

function anyFrame(random: Random): Frame {
  const name = random.pick(names);
  const portal = random.pick(portals);
  switch (random.below(14)) {
    case 0:
      return describe("S", name);
    case 1:
      return describe("P", portal);
    case 2:
      return frame(`Close ${random.pick(["S", "P"])} ${quoted(random.pick([name, portal]))}`);
    case 3:
      return frame("Flush");
    case 4:
      return sync;
    case 5:
      return frame(`Query ${quoted(random.pick(statements))}`);
    case 6:
      return oddBind(random, portal, name);
    case 7:
    case 8:
      return execute(portal, random.pick([0, 0, 1, 3, -1, 2147483647]));
    case 9:
    case 10:
      return bind(portal, name, random.pick([[], ["1"], ["1", "2"]]));
    default:
      return parse(name, random.pick(statements));
  }
}

/** A Bind whose counts, formats or lengths do not fit each other. */
function oddBind(random: Random, portal: string, name: string): Frame {
  const int16 = (value: number): Buffer => Buffer.of((value >> 8) & 255, value & 255);
  const formats = random.pick([[1], [0, 1], [7], [-1]]);
  const count = random.pick([0, 1, 2, -1, 32767]);
  const length = random.pick([1, 4, -1, -2, 2147483647]);
  const lengthBytes = Buffer.alloc(4);
  lengthBytes.writeInt32BE(length);
  const rest = [int16(formats.length), ...formats.map(int16), int16(count), lengthBytes, Buffer.from("1"), int16(0)];
  return {
    line: `Bind ${quoted(portal)} ${quoted(name)} formats ${formats} count ${count} length ${length}`,
    bytes: encodeMessage("B", portal, name, ...rest),
  };
}
