/** Names and values of others never reach the terminal as they are, whatever prints them. */
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Sets the title, clears the screen, begins a sequence in C1, turns the text around. */
const nasty = "a\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eb\rc";
const active = /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/u;
const escaped = "a\\x1B]0;owned\\x07\\x1B[2J\\u009B31m\\u202Eb\\x0Dc";

async function startServer(args: readonly string[]) {
  const cli = startCli(["--port", "0", "-o", "json", "--migrations", "none", ...args]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1 });
  onTestFinished(() => sql.end());
  return { cli, url: url as string, sql };
}

test("a trace, a log and an error are shown with escapes", async () => {
  const trace = join(temporaryDirectory(), "t.trace");
  const { cli, sql } = await startServer(["--trace", trace, "--log-slow", "0"]);
  await sql.unsafe(`select '${nasty}' as one, 1/0`).catch(() => {});
  await sql.unsafe(`select '${nasty}' as "${nasty}"`);
  await waitUntil("the statement is logged", () => /duration:.*owned/.test(cli.stderr()));
  cli.child.kill("SIGTERM");
  await cli.ended;
  expect(cli.stderr()).toContain(escaped);
  expect(cli.stderr()).not.toMatch(active);
  const shown = await runCli(["trace", "show", "--full", trace]);
  // White space is one space in a row.
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(escaped.replace("\\x0D", " ")) });
  expect(shown.stdout).not.toMatch(active);
});

test("a comparison is printed with escapes", async () => {
  const { url, sql } = await startServer([]);
  expect(await runCli(["branch", "b", "--url", url])).toMatchObject({ code: 0 });
  await sql.unsafe(`create table "${nasty}" (n int)`);
  const { stdout } = await runCli(["branch", "diff", "b", "--url", url]);
  expect(stdout).toContain(escaped);
  expect(stdout).not.toMatch(active);
  const json = await runCli(["branch", "diff", "b", "--url", url, "-o", "json"]);
  expect(json.stdout).not.toMatch(active);
  const names = JSON.parse(json.stdout).schema.map(({ name }: { name: string }) => name);
  expect(names).toContain(`public."${nasty}"`);
});

test("a snapshot's name has no control characters", async () => {
  const { url } = await startServer([]);
  for (const name of [nasty, "two\nlines"]) {
    const refused = await runCli(["snapshot", "save", name, "--url", url]);
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("invalid snapshot name") });
    expect(refused.stderr).not.toMatch(active);
  }
  expect((await runCli(["snapshot", "save", "größer 2", "--url", url])).code).toBe(0);
  expect((await runCli(["snapshot", "ls", "--url", url])).stdout).toBe("größer 2\n");
});
