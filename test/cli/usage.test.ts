/**
 * Bad values of every option, wherever they are given, and the texts of help and version, as a process; flags one by one where they are read.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { declareOptions, readOptions, serverOptions } from "../../src/cli/command.ts";
import { UsageError } from "../../src/errors.ts";
import { flagName } from "../../src/options/spec.ts";
import { type OptionKey, optionKeys, optionTable } from "../../src/options.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";

/** A bad value for every option, and what the sentence must say that it takes. */
const badValues: Readonly<Record<OptionKey, readonly [string, string]>> = {
  port: ["70000", "a whole number from 0 to 65535"],
  host: ["no such host", "an IP address or a host name"],
  socketDir: ["", "a directory"],
  password: ["", "text without control characters and without spaces around it"],
  tls: ["on", "one of off, auto"],
  tlsCert: ["", "a file"],
  tlsKey: ["", "a file"],
  insecure: ["maybe", "true or false"],
  engine: ["mysql://localhost/app", "pglite, postgres or postgresql://"],
  db: ["idb://x", "a directory or memory://"],
  icuLocale: ["en US", "an ICU locale"],
  fsync: ["yes", "one of on, off"],
  sessions: ["some", "one of isolated, shared"],
  branches: ["yes", "one of on, off"],
  branchTtlMs: ["1h", "a whole number from 0 to"],
  perGitBranch: ["maybe", "true or false"],
  memoryLimitMb: ["1", "a whole number from 64 to"],
  seedRandom: ["x", "a whole number from 0 to"],
  resets: ["yes", "one of on, off"],
  user: ["", "a name of at most 63 bytes"],
  database: ["é".repeat(32), "a name of at most 63 bytes"],
  migrations: ["", "a directory, auto or none"],
  setup: ["", "a command line"],
  seed: [" ", "a .sql file, a JavaScript or TypeScript module, a directory or a pattern"],
  extensions: ["a,,b", "a list of extension names"],
  set: ["work_mem", "NAME=VALUE"],
  cache: ["never", "true or false"],
  maxConnections: ["many", "a whole number from 1 to 10000"],
  idleTimeoutMs: ["-1", "a whole number from 0 to"],
  stallTimeoutMs: ["1e3", "a whole number from 0 to"],
  transactionIdleTimeoutMs: ["0x10", "a whole number from 0 to"],
  logSlowMs: ["1s", "a whole number from 0 to"],
  graceMs: ["10s", "a whole number from 0 to"],
  trace: ["", "a file"],
  traceLimitMb: ["0", "a whole number from 1 to 1000000"],
  traceOnFailure: ["", "a file"],
  output: ["xml", "one of text, json, env"],
  logLevel: ["loud", "one of silent, error, info, debug"],
};

/** Expects exit 2, one sentence with all the parts, and nothing left in an empty directory. */
async function expectRefusal(
  args: readonly string[],
  parts: readonly string[],
  environment: Record<string, string> = {},
  packageJson?: unknown,
): Promise<void> {
  const cwd = temporaryDirectory();
  if (packageJson !== undefined) {
    writeFileSync(join(cwd, "package.json"), JSON.stringify({ "pglite-devdb": packageJson }));
  }
  const before = readdirSync(cwd);
  const all = ["run", "branch"].includes(args[0]!) || args.includes("--db") ? args : ["--db", "data", ...args];
  const end = await runCli(all, { cwd, environment });
  expect({ code: end.code, stdout: end.stdout, lines: end.stderr.split("\n").length }).toEqual({
    code: 2,
    stdout: "",
    lines: 2,
  });
  for (const part of parts) expect(end.stderr).toContain(part);
  expect(readdirSync(cwd)).toEqual(before);
}

describe("a bad value is exit 2 and one sentence, and nothing is started", () => {
  /** The value as it is shown: a secret is not. */
  const shown = (key: OptionKey) => (optionTable[key].secret ? "the given value" : JSON.stringify(badValues[key][0]));

  const withValue = optionKeys.filter((key) => optionTable[key].flags.includes("<"));

  // A process for each of them is three dozen processes that do the same.
  test.each(withValue)("%s as a flag, as the command reads it", (key) => {
    const [value, takes] = badValues[key];
    const flag = flagName(optionTable[key]);
    const keys = serverOptions(optionTable[key].scope === "run" ? "run" : "start");
    const command = new Command().exitOverride();
    declareOptions(command, keys);
    command.parse([flag, value], { from: "user" });
    const { stdout, stderr } = process;
    const read = () => readOptions(command, keys, { cwd: temporaryDirectory(), environment: {}, stdout, stderr });
    expect(read).toThrow(UsageError);
    expect(read).toThrow(`${flag}: ${shown(key)} is not ${takes}`);
    expect(read).not.toThrow("\n");
  });

  async function expectFlagRefused(key: OptionKey): Promise<void> {
    const [value, takes] = badValues[key];
    const flag = flagName(optionTable[key]);
    const own = key === "db" ? [] : ["--db", "data"];
    const args = optionTable[key].scope === "run" ? ["run", flag, value, "--", "true"] : [...own, flag, value];
    await expectRefusal(args, [`${flag}: ${shown(key)} is not ${takes}`]);
  }

  // One whose value is shown, one whose value is a secret, and one of `run`.
  const some: readonly OptionKey[] = ["port", "password", "traceOnFailure"];
  test.each(some)("%s as a flag", expectFlagRefused);

  test.each(withValue.filter((key) => !some.includes(key)))("%s as a flag", { tags: "long" }, expectFlagRefused);

  test.each(optionKeys.filter((key) => optionTable[key].environment))(
    "%s in the environment",
    { tags: "long" },
    async (key) => {
      const [value, takes] = badValues[key];
      const name = optionTable[key].environment!;
      await expectRefusal([], [`${name}: ${shown(key)} is not ${takes}`], { [name]: value });
    },
  );

  test("in package.json: a value of the wrong type, a key that is no option, a key that is no object", async () => {
    const where = 'the "pglite-devdb" key of package.json';
    await expectRefusal([], [`maxConnections in ${where}: "5" is not a whole number`], {}, { maxConnections: "5" });
    await expectRefusal([], [`${where}: there is no option "prot"; the options are port, `], {}, { prot: 1 });
    await expectRefusal([], [`${where}: ["port"] is not an object`], {}, ["port"]);
  });

  test("an option that is given twice and is not repeatable", async () => {
    await expectRefusal(["--port", "0", "--port", "5"], ['--port is given twice: "0" and "5"']);
    await expectRefusal(["--password", "secret", "--password", "other"], ["--password is given twice\n"]);
    await expectRefusal(["branch", "x", "--url", "a", "--url", "b"], ['--url is given twice: "a" and "b"']);
  });

  test("a path, a port or an extension that is not there", { tags: "long" }, async () => {
    await expectRefusal(["--seed", "missing.sql"], ["--seed: there is no file ", "missing.sql"]);
    await expectRefusal([], ["DEV_DB_SOCKET_DIR: there is no directory "], { DEV_DB_SOCKET_DIR: "missing" });
    await expectRefusal([], ["DEV_DB_MIGRATIONS: ", "missing"], { DEV_DB_MIGRATIONS: "missing" });
    await expectRefusal(["-e", "pg_trgm", "-e", "nope"], ['--extension: there is no extension "nope"', "pg_trgm"]);
    await expectRefusal(
      ["--host", "192.0.2.1", "--insecure", "--port", "0"],
      ['--host: "192.0.2.1" is not an address of this machine'],
    );
  });

  test("a flag, a command or an argument that there is not", async () => {
    await expectRefusal(["--prot", "1"], ["unknown option '--prot'", "Did you mean --port?", "--help"]);
    await expectRefusal(["--port"], ["--port", "argument missing"]);
    await expectRefusal(["extra"], ['"extra"']);
    for (const [args, part] of [
      [["strat"], '"strat"'],
      [["run"], "name the command to run"],
      [["run", "--"], "name the command to run"],
      [["run", "-o", "json", "--", "true"], "unknown option '-o'"],
      [["run", "--port", "x", "--", "true"], '--port: "x" is not'],
    ] as const) {
      const end = await runCli(args);
      expect(end).toMatchObject({ code: 2, stdout: "" });
      expect(end.stderr).toContain(part);
    }
  });
});

describe("the URL of a server is read before anything is asked of it", () => {
  const bad = "postgresql://m%zz:secret@127.0.0.1:1/x";
  const percent = 'the user in its URL has an invalid percent-encoded character: "m%zz"; write % itself as %25';
  const gallery = join(import.meta.dirname, "../trace/gallery");
  const trace = join(gallery, readdirSync(gallery).find((name) => name.endsWith(".trace"))!);

  test.each([
    [["branch", "--url", bad], `--url: ${percent}`],
    [["branch", "ls"], `DATABASE_URL: ${percent}`],
    [["clock", "--url", bad], `--url: ${percent}`],
    [["dump", bad], `dump URL: ${percent}`],
    [["dump", "--engine", bad], `--engine: ${percent}`],
    [["restore", trace, bad], `restore URL: ${percent}`],
    [["doctor", bad], `doctor URL: ${percent}`],
    [["explore", "--engine", bad, "file.json"], `--engine: ${percent}`],
    [["trace", "record", "f", "--listen", "0", "--upstream", bad], `--upstream: ${percent}`],
    [["trace", "replay", trace, "--against", bad], `--against: ${percent}`],
    [
      ["branch", "--url", "mysql://me:secret@127.0.0.1/x"],
      '--url: "mysql://me:…@127.0.0.1/x" is not postgresql://USER',
    ],
    [["dump", "postgresql://me:secret@127.0.0.1:99999/x"], 'port in its URL is "99999"'],
    [["doctor", "127.0.0.1:5432"], 'doctor URL: "127.0.0.1:5432" is not postgresql://USER'],
    [["doctor", "me:secret@127.0.0.1/x"], 'doctor URL: "me:…@127.0.0.1/x" is not postgresql://USER'],
    [
      ["clock", "--url", "jdbc:postgresql://me:secret@h/x"],
      '--url: "jdbc:postgresql://me:…@h/x" is not postgresql://USER',
    ],
    [["dump", "--port", "5433"], "dump: --port has no effect; name a server that runs by its URL"],
    [["restore", trace, "--host", "h"], "restore: --host has no effect; name a server that runs by its URL"],
    [["dump", "--db", "d", "postgresql://me:secret@h/x"], "dump: --db has no effect; the URL says which server"],
    [["dump", "host=h password=secret"], '"host=h password=…" is neither the URL of a server'],
  ])("%s", async (args, sentence) => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "file.json"), '{ "actors": { "a": { "sql": ["select 1"] } }, "invariant": "select true" }');
    const end = await runCli(args, { cwd, environment: { DATABASE_URL: bad } });
    expect(end).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(sentence) });
    expect(end.stderr).not.toMatch(/secret|^ +at /m);
  });
});

describe("help and version", () => {
  test("--help names every option with environment name and default, the exit codes and examples", async () => {
    const end = await runCli(["--help"]);
    expect(end).toMatchObject({ code: 0, stderr: "" });
    const ofRun = (await runCli(["run", "--help"])).stdout;
    for (const key of optionKeys) {
      const { flags, environment, default: value, scope } = optionTable[key];
      expect(scope === "run" ? ofRun : end.stdout).toContain(flags);
      if (environment) expect(end.stdout).toContain(environment);
      if (typeof value === "number") expect(end.stdout.replace(/\s+/g, " ")).toContain(`default ${value}]`);
    }
    expect(end.stdout).toMatch(/4 port taken/);
    expect(end.stdout).toMatch(/pglite-devdb run --port 0 -- npm test/);
    expect(Math.max(...end.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("every command has its own help, with the options that it takes", async () => {
    const run = await runCli(["run", "--help"]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("pglite-devdb run [options] -- CMD");
    expect(run.stdout).not.toContain("--output");
    expect((await runCli(["--port", "0", "--help"])).stdout).toContain("--output");
  });

  test("--version is the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await runCli(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});
