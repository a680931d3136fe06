/** `trace show --html`: one page that a browser shows, of a real trace and of one of 100,000 records. */
import { appendFileSync, chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { traceEnd } from "../../src/trace/record/trace-file.ts";
import { encodeQuery } from "../../src/wire/frontend.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { Browser, requireChromium } from "./support/chromium.ts";
import { login, makeTrace, reply } from "./support/made-trace.ts";
import { hostile, shop } from "./support/shop.ts";

/** The page of a trace; `--html` may be followed by filters. */
async function pageOf(trace: string, ...flags: string[]): Promise<string> {
  const page = join(temporaryDirectory(), "page.html");
  const end = await runCli(["trace", "show", trace, "--html", page, ...flags]);
  expect(end).toMatchObject({ code: 0, stderr: "" });
  return page;
}

const small = () =>
  makeTrace((trace) => {
    login(trace, 1);
    trace.tap(1, "frontend", encodeQuery(`insert into notes values ('${hostile}')`));
    trace.tap(1, "backend", Buffer.concat([reply.done("INSERT 0 1"), reply.ready()]));
    trace.tap(1, "frontend", encodeQuery("select 2"));
    trace.tap(1, "backend", Buffer.concat([reply.error("42P01", hostile), reply.ready()]));
  });

test("nothing of a trace is markup, only its owner can read the page, and a trace is not overwritten", async () => {
  const trace = await small();
  const page = await pageOf(trace);
  expect(statSync(page).mode & 0o777).toBe(0o600);
  chmodSync(page, 0o644);
  await runCli(["trace", "show", trace, "--html", page]);
  expect(statSync(page).mode & 0o777).toBe(0o600);
  const html = readFileSync(page, "utf8");
  expect(html).not.toContain("onerror");
  expect(html.match(/<\/script>/g)).toHaveLength(3);
  expect(html).toMatch(/default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/);
  const data = /id="data">([\w+/=]+)<\/script>/.exec(html)![1]!;
  expect(JSON.parse(gunzipSync(Buffer.from(data, "base64")).toString()).texts).toContain(
    `insert into notes values ('${hostile}')`,
  );
  const stdout = await runCli(["trace", "show", trace, "--html", "-"]);
  expect(stdout).toMatchObject({ code: 0, stderr: "" });
  expect(stdout.stdout).toBe(html);
  for (const [target, sentence] of [
    [trace, "is a trace; it is not overwritten"],
    [join(temporaryDirectory(), "none", "page.html"), "cannot write"],
  ] as const) {
    const end = await runCli(["trace", "show", trace, "--html", target]);
    expect(end).toMatchObject({ code: 2, stdout: "" });
    expect(end.stderr).toContain(sentence);
  }
});

/** What was drawn last. */
const drawn = (browser: Browser) =>
  browser.evaluate<Record<string, string>>("({ ...document.getElementById('canvas').dataset })");
const textOf = (browser: Browser, selector: string) =>
  browser.evaluate<string>(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.textContent).join("\\n")`,
  );
const count = async (browser: Browser) => Number((await textOf(browser, "#count")).split(" of ")[0]!.replace(",", ""));

/** The points of the lanes where a colour is seen, such as that of errors. */
function pointsOf(browser: Browser, color: string): Promise<[number, number][]> {
  return browser.evaluate(`(() => {
    const canvas = document.getElementById("canvas");
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--${color}");
    const wanted = parseInt(context.fillStyle.slice(1), 16);
    const { data, width } = context.getImageData(0, 0, canvas.width, canvas.height);
    const { left, top } = canvas.getBoundingClientRect();
    const points = [];
    for (let i = 0; i < data.length; i += 4)
      if ((data[i] << 16 | data[i + 1] << 8 | data[i + 2]) === wanted)
        points.push([left + (i / 4) % width, top + Math.floor(i / 4 / width)]);
    return points;
  })()`);
}

/** Where it can be looked at afterwards. */
async function keepPicture(browser: Browser, name: string): Promise<void> {
  const directory = process.env.TEST_PICTURES;
  if (directory) writeFileSync(join(directory, `${name}.png`), await browser.screenshot());
}

test("a browser shows a real trace: lanes, bars, waits, errors, filters", { tags: "long" }, async (context) => {
  const program = requireChromium(context);
  const trace = join(temporaryDirectory(), "shop.trace");
  const db = await startDevDb({ port: 0, migrations: "none", trace });
  await shop(db.url).finally(() => db.close());
  const browser = await Browser.start(program);
  await browser.open(await pageOf(trace));
  await keepPicture(browser, "shop");
  expect(await browser.evaluate("document.title")).toBe("shop.trace");
  expect(await textOf(browser, "#labels")).toMatch(/ann · postgres@postgres[\s\S]*bob[\s\S]*cleo[\s\S]*reports/);
  const all = await drawn(browser);
  expect(all).toMatchObject({ lanes: "5", transactions: "4", waits: "2", errors: "3" });
  expect(Number(all.pipelines)).toBeGreaterThan(25);
  for (const color of ["asked", "waiting", "transaction", "rolled", "lock"]) {
    expect((await pointsOf(browser, color)).length, color).toBeGreaterThan(20);
  }

  // The first error is Bob's, who has read what Ann has changed since.
  const [first] = (await pointsOf(browser, "error")).sort(([one], [other]) => one - other);
  await browser.click(first![0] + 5, first![1]);
  expect(await textOf(browser, "#details dl")).toMatch(/SQLSTATE40001messagecould not serialize access/);
  expect(await textOf(browser, "#details pre")).toMatch(/update seats set taken_by = 'bob' where id = \$1/);
  expect(await textOf(browser, "#details .bytes")).toMatch(/^0000 {2}45 00 00/);
  expect(await textOf(browser, ".row.chosen")).toContain("ErrorResponse");
  await keepPicture(browser, "shop-error");
  const [lock] = await pointsOf(browser, "lock");
  await browser.click(lock![0] + 40, lock![1] + 20);
  await browser.key("p");
  await browser.key("n");

  await browser.fill("table", "sold");
  const ofTable = await count(browser);
  const shown = await runCli(["trace", "show", trace, "--table", "sold"]);
  expect(ofTable).toBe(shown.stdout.trim().split("\n").length - 1);
  await browser.fill("connection", "2");
  expect(await drawn(browser)).toMatchObject({ lanes: "1" });
  await browser.fill("table", "");
  await browser.fill("connection", "");
  await browser.fill("message", "ErrorResponse");
  expect(await count(browser)).toBe(3);
  await browser.fill("message", "");
  await browser.fill("sql", "(");
  expect(await browser.evaluate(`document.querySelector("input[name=sql]").validity.valid`)).toBe(false);
  await browser.fill("sql", "</script><img");
  expect(await textOf(browser, "#rows")).toContain("</script><img src=x onerror=");
  expect(await browser.evaluate("document.querySelectorAll('img').length")).toBe(0);
  await browser.dark(true);
  await keepPicture(browser, "shop-dark");
  expect((await pointsOf(browser, "error")).length).toBeGreaterThan(20);
  expect(browser.requests.filter((url) => !url.startsWith("file:"))).toEqual([]);
  expect(browser.complaints).toEqual([]);
});

/** A trace with so many records, of 40 connections, every 499th answer an error, so that all of them have some. */
async function generated(records: number): Promise<string> {
  const connections = 40;
  const file = await makeTrace((trace) => {
    for (let connection = 1; connection <= connections; connection++) login(trace, connection);
  });
  const answer = Buffer.concat([reply.columns("id"), reply.row("1"), reply.done("SELECT 1"), reply.ready()]);
  const refusal = Buffer.concat([reply.error("23505", "duplicate key"), reply.ready()]);
  const line = (time: number, c: number, d: string, bytes: Buffer) =>
    `{"t":${time},"c":${c},"d":"${d}","m":"","b":"${bytes.toString("base64")}"}\n`;
  for (let at = 0, lines: string[] = []; at < records / 2; at++) {
    const time = 10_000 + at * 120;
    const connection = 1 + (at % connections);
    lines.push(line(time, connection, "F", encodeQuery(`select * from seats where id = ${at}`)));
    lines.push(line(time + 50, connection, "B", at % 499 === 498 ? refusal : answer));
    if (lines.length < 5000 && at < records / 2 - 1) continue;
    appendFileSync(file, lines.join(""));
    lines = [];
  }
  appendFileSync(file, `{"t":${10_000 + records * 60},${traceEnd}`);
  return file;
}

test("a browser shows a trace of 100,000 records as well", { tags: "long" }, async (context) => {
  const program = requireChromium(context);
  const page = await pageOf(await generated(100_000));
  expect(statSync(page).size).toBeLessThan(5 * 2 ** 20);
  const browser = await Browser.start(program);
  await browser.open(page);
  await keepPicture(browser, "generated");
  expect(await textOf(browser, "#about")).toContain("40 connections, 100 errors");
  const all = await drawn(browser);
  // As many as there are pixels, not as many as there are.
  expect(Number(all.pipelines)).toBeGreaterThan(1000);
  expect(Number(all.pipelines)).toBeLessThan(40_000);
  expect(Number(all.errors)).toBeGreaterThan(10);
  expect(await browser.evaluate("document.querySelectorAll('.row').length")).toBeLessThan(100);
  const [first] = await pointsOf(browser, "error");
  await browser.click(first![0], first![1] + 9);
  expect(await textOf(browser, "#details dl")).toContain("SQLSTATE23505");
  for (let i = 0; i < 12; i++) await browser.key("+");
  await keepPicture(browser, "generated-near");
  expect(Number((await drawn(browser)).pipelines)).toBeLessThan(200);
  await browser.fill("sql", "id = 4999$");
  expect(await count(browser)).toBe(5);
  // Frames while it moves, in the same browser: what is drawn of all is not much more work than what is drawn of little.
  const frame = (from: string) =>
    browser.evaluate<number>(`(async () => {
      for (const key of ${from}) window.dispatchEvent(new KeyboardEvent("keydown", { key }));
      const began = performance.now();
      for (let i = 0; i < 20; i++) {
        window.dispatchEvent(new KeyboardEvent("keydown", { key: i % 2 ? "ArrowLeft" : "ArrowRight" }));
        await new Promise((done) => requestAnimationFrame(done));
      }
      return (performance.now() - began) / 20;
    })()`);
  const near = await frame(`[]`);
  const far = await frame(`["0"]`);
  context.annotate(`a frame: ${near.toFixed(0)} ms near, ${far.toFixed(0)} ms for all of it`);
  expect(far / near).toBeLessThan(40);
});
