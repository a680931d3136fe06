/** Files that cannot be written or read: PostgreSQL's own words for everybody whom it concerns, and no row lost. */
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import type { FileFault } from "../support/failing-files.ts";
import { errorFields, message, rows, WireClient } from "../support/wire-client.ts";

const failingFiles = new URL("../support/failing-files.ts", import.meta.url).href;
const panic = /PANIC: {2}could not write to file "pg_wal\/[^"]+": No space left on device/;
const fatal = /FATAL: {2}could not write to file "pg_wal\/[^"]+": No space left on device/;

beforeAll(initializeTemplate);

test("a full disk ends PostgreSQL with its words, and it goes on when there is space", async () => {
  const directory = initializedDirectory();
  const order = join(temporaryDirectory(), "fault");
  const cli = startCli(["--port", "0", "-o", "json", "--db", directory], {
    environment: { NODE_OPTIONS: `--import ${failingFiles}`, FILE_FAULT: order },
  });
  const endpoint = JSON.parse((await cli.line(/^.*\n/))[0]!) as { host: string; port: number };
  const writer = await WireClient.login(endpoint);
  await writer.query("create table t (n int); insert into t values (1)");
  const bystander = await WireClient.login(endpoint);
  await bystander.query("select 1");

  // A stand-in for a full disk. New segments of the WAL, which are there before a commit needs them.
  const full: FileFault = {
    ...{ id: 1, directory, kind: "ENOSPC", calls: ["writeSync"], path: "/pg_wal/xlogtemp" },
    ...{ nth: 1, lasting: true },
  };
  writeFileSync(`${order}.new`, JSON.stringify(full));
  renameSync(`${order}.new`, order);
  const fills = "insert into t select g from generate_series(1, 600000) g";
  writer.send(message.query(fills));
  const error = errorFields(await writer.untilEnd());
  // It may be the WAL writer that meets it first; then who commits is told as the others are.
  const isOwn = error?.get("S") === "PANIC";
  expect(error?.get("C")).toBe(isOwn ? "53100" : "57P02");
  expect(`PANIC:  ${error?.get("M")}; ${error?.get("D")}`).toMatch(panic);

  const told = errorFields(await bystander.untilEnd());
  expect(told?.get("C")).toBe("57P02");
  expect(told?.get("D")).toMatch(panic);
  expect(cli.stderr()).toMatch(panic);
  expect(cli.stderr()).toContain(`STATEMENT:  ${fills}`);

  // It cannot recover without space either, and says so.
  const early = await WireClient.connect(endpoint);
  early.send(message.startup({ user: "postgres", database: "postgres" }), message.query("select 1"));
  const refused = errorFields(await early.untilEnd());
  expect(refused?.get("S")).toBe("FATAL");
  expect([...(refused?.values() ?? [])].join(" ")).toMatch(fatal);

  rmSync(order);
  const next = await WireClient.login(endpoint);
  expect(rows(await next.query("select n from t"))).toEqual([["1"]]);
  await next.query("insert into t values (2)");
  for (const client of [writer, bystander, early, next]) client.destroy();
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
  expect(cli.stderr()).not.toContain("Aborted");
});

test("a file that cannot be read when a session starts is that client's error", { tags: "long" }, async () => {
  const directory = initializedDirectory();
  const cli = startCli(["--port", "0", "-o", "json", "--db", directory]);
  const endpoint = JSON.parse((await cli.line(/^.*\n/))[0]!) as { host: string; port: number };
  const bystander = await WireClient.login(endpoint);
  await bystander.query("create table t (n int); insert into t values (1)");
  const configuration = join(directory, "pg_hba.conf");
  renameSync(configuration, `${configuration}.away`);
  const client = await WireClient.connect(endpoint);
  // Not the name that needs no session before its first statement.
  client.send(message.startup({ user: "postgres", database: "postgres", options: "-c work_mem=1MB" }));
  const refused = errorFields(await client.untilEnd());
  expect(refused?.get("S")).toBe("FATAL");
  expect(refused?.get("M")).toMatch(/could not load .*pg_hba\.conf/);
  // Why, PostgreSQL tells its log only.
  await expect.poll(cli.stderr).toMatch(/LOG: {2}could not open file ".*pg_hba\.conf"/);
  expect(rows(await bystander.query("select n from t"))).toEqual([["1"]]);
  renameSync(`${configuration}.away`, configuration);
  const next = await WireClient.login(endpoint);
  expect(rows(await next.query("select n from t"))).toEqual([["1"]]);
  for (const one of [bystander, client, next]) one.destroy();
  expect(cli.stderr()).not.toContain("the engine died");
});

test("a branch for which there is no space is refused in PostgreSQL's words, and nothing is left of it", async () => {
  const directory = initializedDirectory();
  const order = join(temporaryDirectory(), "fault");
  const cli = startCli(["--port", "0", "-o", "json", "--db", directory], {
    environment: { NODE_OPTIONS: `--import ${failingFiles}`, FILE_FAULT: order },
  });
  const client = await WireClient.login(JSON.parse((await cli.line(/^.*\n/))[0]!) as { host: string; port: number });
  await client.query("create table t (n int); insert into t values (1)");
  const files = () => readdirSync(join(directory, "base")).filter((name) => /^\d+$/.test(name));
  const before = files();
  // A stand-in for a full disk.
  const full: FileFault = {
    ...{ id: 1, directory, kind: "ENOSPC", calls: ["copyFileSync"], nth: 20, lasting: true },
  };
  writeFileSync(`${order}.new`, JSON.stringify(full));
  renameSync(`${order}.new`, order);
  const error = errorFields(await client.query("select pglite_devdb.branch('one')"));
  const words = /could not copy directory "base\/\d+" to "base\/\d+": No space left on device/;
  expect(error?.get("C")).toBe("53100");
  expect(error?.get("M")).toMatch(words);
  expect(files()).toEqual(before);
  rmSync(order);
  expect(errorFields(await client.query("select pglite_devdb.branch('one')"))).toBeUndefined();
  client.destroy();
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
});
