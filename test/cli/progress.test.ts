/** What a terminal shows while a start takes long, in a real pseudo terminal (script of util-linux). */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");
const erase = "\r\u001b[K";
const hasTerminals = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") ?? false;

/** Everything that a terminal gets from `run`, with a migration, a setup that says something, and a seed that takes its time. */
async function typeRun(): Promise<string> {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  writeFileSync(join(cwd, "migrations/1_people.sql"), "create table people as select 'ada' as name;");
  writeFileSync(join(cwd, "migrations/2_idle.sql"), "select pg_sleep(0.8);");
  writeFileSync(join(cwd, "seed.sql"), "select pg_sleep(0.8);");
  const setup = `--setup "echo once && sleep 0.5 && echo twice"`;
  const command = `"${process.execPath}" "${cli}" run --port 0 ${setup} --seed seed.sql -- echo the command`;
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG|DATABASE_URL$|CI$)/.test(name));
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd,
    env: { ...Object.fromEntries(inherited), TERM: "xterm" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code, written).toBe(0);
  return written;
}

/** What can be read on the screen at the end. */
const screen = (written: string) => written.split("\r\n").map((line) => line.split(erase).at(-1));

test.runIf(hasTerminals)("a terminal shows what the start is at, and in the end only the log", async () => {
  const written = await typeRun();
  const shown = written.split(erase).map((text) => /^pglite-devdb: (.+) \(\d+ s\)$/.exec(text)?.[1]);
  for (const doing of ["migration 2 of 2: 2_idle.sql", "setup: echo once && sleep 0.5 && echo twice", "seed: seed.sql"])
    expect(shown).toContain(doing);
  expect(screen(written)).toEqual([
    "pglite-devdb: setup: echo once && sleep 0.5 && echo twice",
    "pglite-devdb: setup: once",
    "pglite-devdb: setup: twice",
    expect.stringMatching(/^pglite-devdb: postgresql:.* is ready/),
    "the command",
    "",
  ]);
});
