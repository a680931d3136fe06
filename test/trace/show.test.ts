/** `trace show`: what a row says, which rows a filter leaves, and that a long trace takes no more memory than a short one. */
import { execFile } from "node:child_process";
import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { type ShowOptions, showTrace } from "../../src/trace/show/show.ts";
import { encodeBind, encodeExecute, encodeParse, encodeQuery, encodeSync } from "../../src/wire/frontend.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { login, makeTrace, reply } from "./support/made-trace.ts";

const plain: ShowOptions = { filter: { statements: [] }, decisions: false, color: false, width: undefined };

/** Without the header, and without times. */
function rows(file: string, options: Partial<ShowOptions> = {}): string[] {
  const all = [...showTrace(openTrace(file), { ...plain, ...options })];
  return all.slice(1).map((row) => row.slice(13).trimEnd());
}

/** Ann holds a lock that Bob waits for. */
const quarrel = () =>
  makeTrace((trace) => {
    login(trace, 1);
    login(trace, 2);
    trace.tap(1, "frontend", encodeQuery("begin; update seats set id = 1"));
    trace.tap(1, "backend", Buffer.concat([reply.done("BEGIN"), reply.done("UPDATE 1"), reply.ready("T")]));
    const update = [encodeParse("u", "update seats set id = $1"), encodeBind("", "u", ["7"]), encodeExecute("")];
    trace.tap(2, "frontend", Buffer.concat([...update, encodeSync()]));
    trace.decided(1002, "wait", "lock of 1001");
    trace.tap(1, "frontend", encodeQuery("commit"));
    trace.decided(1002, "woken");
    trace.tap(1, "backend", Buffer.concat([reply.done("COMMIT"), reply.ready()]));
    trace.tap(1, "closed");
    trace.tap(2, "backend", Buffer.concat([reply.parsed, reply.bound, reply.error("40001", "no"), reply.ready()]));
    trace.tap(2, "frontend", Buffer.concat([encodeBind("", "u", ["8"]), encodeExecute(""), encodeSync()]));
    trace.tap(2, "backend", Buffer.concat([reply.bound, reply.done("UPDATE 0"), reply.ready()]));
  });

test("a row for each message, a lane for each connection, waits as dotted lanes", async () => {
  const shown = rows(await quarrel());
  expect(shown.slice(8)).toEqual([
    `>│    1  F Query "begin; update seats set id = 1"`,
    `<│    1  B CommandComplete "BEGIN"`,
    `«│    1  B CommandComplete "UPDATE 1"`,
    "«│    1  B ReadyForQuery T",
    `│>    2  F Parse "u" "update seats set id = $1" 0`,
    `│»    2  F Bind "" "u" 0 1 1 '7' 0`,
    `│»    2  F Execute "" 0`,
    "│»    2  F Sync",
    "│┊    2  (wait for a lock of connection 1)",
    `>┊    1  F Query "commit"`,
    "││    2  (woken)",
    `<│    1  B CommandComplete "COMMIT"`,
    "«│    1  B ReadyForQuery I",
    "×│    1  (closed)",
    " <    2  B ParseComplete",
    " «    2  B BindComplete",
    ` «    2  B ErrorResponse S "ERROR" C "40001" M "no"`,
    " «    2  B ReadyForQuery I",
    ` >    2  F Bind "" "u" 0 1 1 '8' 0`,
    ` »    2  F Execute "" 0`,
    " »    2  F Sync",
    " <    2  B BindComplete",
    ` «    2  B CommandComplete "UPDATE 0"`,
    " «    2  B ReadyForQuery I",
  ]);
});

test("on a terminal errors are red, and rows are cut at its width", async () => {
  const file = await quarrel();
  const shown = rows(file, { color: true, width: 60 });
  expect(shown.filter((row) => row.includes("\u001b[31m"))).toEqual([expect.stringContaining("ErrorResponse")]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const bare = shown.map((row) => row.replaceAll(/\u001b\[\d+m/g, ""));
  expect(Math.max(...bare.map((row) => row.length))).toBeLessThanOrEqual(60 - 13);
  expect(bare.some((row) => row.endsWith("…"))).toBe(true);
});

test("filters leave what fits all of them", async () => {
  const file = await quarrel();
  const withFilter = (filter: Partial<ShowOptions["filter"]>) => rows(file, { filter: { statements: [], ...filter } });
  expect(withFilter({ connections: new Set([2]) }).every((row) => / {2}2 {2}/.test(row))).toBe(true);
  expect(withFilter({ messages: new Set(["errorresponse"]) })).toHaveLength(1);
  expect(withFilter({ messages: new Set(["bind"]), connections: new Set([1]) })).toEqual([]);
  // A pipeline with its answers, also where the statement was parsed in another one.
  const updates = withFilter({ statements: [/UPDATE SEATS set id = \$1/i] });
  expect(updates.map((row) => row.slice(9).split(" ")[1])).toEqual([
    ...["Parse", "Bind", "Execute", "Sync", "ParseComplete", "BindComplete", "ErrorResponse", "ReadyForQuery"],
    ...["Bind", "Execute", "Sync", "BindComplete", "CommandComplete", "ReadyForQuery"],
  ]);
  expect(withFilter({ since: 1e12 })).toEqual([]);
  expect(withFilter({ until: 1e12 })).toEqual(rows(file));
});

test("the command: filters as flags, colours on no pipe, errors in a sentence", async () => {
  const file = await quarrel();
  const shown = await runCli(["trace", "show", file, "--table", "seats", "-m", "Query"]);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout.trim().split("\n").slice(1)).toEqual([expect.stringContaining("F Query")]);
  expect(shown.stdout).not.toContain("\u001b");
  expect((await runCli(["trace", "show", file, "--table", "seat"])).stdout.trim().split("\n")).toHaveLength(1);
  const notOne = join(temporaryDirectory(), "x");
  writeFileSync(notOne, "{}");
  for (const [args, sentence] of [
    [["show", notOne], "this is not a trace"],
    [["show"], "name a trace"],
    [["show", "no-such.trace"], "ENOENT"],
    [["show", file, "--since", "x"], '--since: "x" is not a time in seconds'],
    [["show", file, "--sql", "("], '--sql: "(" is not a regular expression'],
    [["paint", file], "say what to do with it"],
  ] as const) {
    const end = await runCli(["trace", ...args]);
    expect(end).toMatchObject({ code: 2, stdout: "" });
    expect(end.stderr).toContain(sentence);
  }
});

test("a broken line is named; one that was cut off at the end is no error", async () => {
  const file = await quarrel();
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, [...lines.slice(0, 5), lines[5]!.slice(0, 20)].join("\n"));
  expect(rows(file).length).toBeGreaterThan(0);
  writeFileSync(file, [...lines.slice(0, 5), lines[5]!.slice(0, 20), ...lines.slice(6)].join("\n"));
  expect(() => rows(file)).toThrow(/line 6: broken/);
});

test("100,000 records take no more memory than 1,000", { tags: "long" }, async () => {
  const wide = "x".repeat(900);
  const make = async (records: number) => {
    const file = await makeTrace((trace) => login(trace, 1));
    for (let at = 0; at < records; at += 1000) {
      const lines = Array.from({ length: 1000 }, (_, i) => {
        const bytes = encodeQuery(`select ${at + i}, '${wide}'`).toString("base64");
        return `{"t":${5000 + at + i},"c":1,"d":"F","m":"Query","b":"${bytes}"}\n`;
      });
      appendFileSync(file, lines.join(""));
    }
    return file;
  };
  const files = [await make(1_000), await make(100_000)] as const;
  const [small, large] = [await peakMb(files[0]), await peakMb(files[1])];
  const fileMb = statSync(files[1]).size / 2 ** 20;
  expect(fileMb).toBeGreaterThan(110);
  expect(large.rows).toBe(100_000);
  expect(large.mb - small.mb).toBeLessThan(fileMb / 2);
});

async function peakMb(file: string): Promise<{ mb: number; rows: number }> {
  const report = "process.on('exit', () => process.stderr.write(String(process.resourceUsage().maxRSS)))";
  const cli = new URL("../../dist/cli.js", import.meta.url).pathname;
  const node = [
    `--import=data:text/javascript,${encodeURIComponent(report)}`,
    cli,
    "trace",
    "show",
    file,
    "-m",
    "query",
  ];
  const output = `${file}.txt`;
  const { stderr } = await promisify(execFile)("sh", ["-c", '"$@" > "$OUTPUT"', "sh", process.execPath, ...node], {
    env: { ...process.env, OUTPUT: output },
  });
  const shown = readFileSync(output, "latin1").split("\n").length - 2;
  // Behind the warning that the trace has no end.
  return { mb: Number(stderr.split("\n").at(-1)) / 1024, rows: shown };
}
