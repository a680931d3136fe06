/** `pglite-devdb reset` and `snapshot` on servers that run, as processes. */
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { runCli, startCli } from "../support/cli-process.ts";

async function startServer(...args: string[]) {
  const cli = startCli(["--port", "0", "--migrations", "none", "-o", "json", ...args]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!) as { url: string };
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  const asked = (...words: string[]) => runCli(words, { environment: { DATABASE_URL: url } });
  const values = async () =>
    (await client.query("select coalesce(string_agg(v, ' '), '') as v from t")).rows[0].v as string;
  return { url, client, asked, values };
}

const done = { code: 0, stdout: "", stderr: "" };

test("a server with --resets on goes back to its start and to snapshots, while who idles stays", async () => {
  const { url, client, asked, values } = await startServer("--resets", "on");
  await client.query("set application_name = 'stays'; create table t (v text); insert into t values ('one')");
  expect(await asked("snapshot", "save", "it's one")).toEqual({ ...done, signal: null });
  await client.query("insert into t values ('two')");
  expect(await asked("snapshot", "save", "two")).toMatchObject(done);
  expect(await asked("snapshot", "ls")).toMatchObject({ ...done, stdout: "it's one\ntwo\n" });
  expect(await asked("snapshot", "restore", "it's one")).toMatchObject(done);
  expect(await values()).toBe("one");
  expect(await asked("reset")).toMatchObject(done);
  await expect(client.query("select from t")).rejects.toMatchObject({ code: "42P01" });
  // The server that is named, whatever the environment says.
  expect(await runCli(["snapshot", "restore", "two", "--url", url])).toMatchObject(done);
  expect(await values()).toBe("one two");
  expect((await client.query("show application_name")).rows).toEqual([{ application_name: "stays" }]);
  expect(await asked("snapshot", "rm", "two")).toMatchObject(done);
  expect(await asked("snapshot", "save", "a\\b's")).toMatchObject(done);
  expect(await asked("snapshot", "ls")).toMatchObject({ ...done, stdout: "it's one\na\\b's\n" });
  expect(await asked("snapshot", "rm", "a\\b's")).toMatchObject(done);
  expect(await asked("snapshot", "restore", "two")).toMatchObject({
    code: 1,
    stderr: `pglite-devdb: snapshot: there is no snapshot "two"; there are: "it's one"\n`,
  });
});

test("a server that keeps nothing says how it would, and has snapshots all the same", { tags: "long" }, async () => {
  const { client, asked, values } = await startServer();
  expect(await asked("reset")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("nothing to reset to: the server was not told to keep its state"),
  });
  await client.query("create table t (v text)");
  expect(await asked("snapshot", "save", "empty")).toMatchObject(done);
  await client.query("insert into t values ('one')");
  expect(await asked("snapshot", "restore", "empty")).toMatchObject(done);
  expect(await values()).toBe("");
});

test("what cannot be is a sentence", { tags: "long" }, async () => {
  const nobody = "postgresql://postgres@127.0.0.1:1/postgres";
  const failures: [string[], number, string][] = [
    [["snapshot"], 2, "snapshot: say what is to be done"],
    [["snapshot", "one"], 2, 'snapshot: what is "one"? pglite-devdb snapshot save NAME | restore NAME | rm NAME | ls'],
    [["snapshot", "save"], 2, "snapshot save: name it: pglite-devdb snapshot save NAME"],
    [["snapshot", "save", ""], 2, "snapshot save: name it"],
    [["snapshot", "ls", "x"], 2, '"x" is an argument too many'],
    [["snapshot", "rm", "a", "b"], 2, '"b" is an argument too many'],
    [["snapshot", "ls", "--url", nobody], 2, "snapshot: could not connect to 127.0.0.1:1"],
    [["reset", "--url", nobody], 2, "reset: could not connect to 127.0.0.1:1"],
    [["reset", "--url", nobody, "--db", "data"], 2, "reset: --db is not an option of reset"],
    [["reset", "all"], 2, 'unexpected argument "all"'],
    [["--resets", "on", "--sessions", "shared"], 2, "--resets: needs isolated sessions"],
  ];
  for (const [args, code, said] of failures)
    expect([args, await runCli(args)]).toEqual([
      args,
      expect.objectContaining({ code, stdout: "", stderr: expect.stringContaining(said) }),
    ]);
});
