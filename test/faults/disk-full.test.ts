/** COPY data that cannot be kept: an error for that client, nothing for the others, and never the end of the process. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { errorFields, message, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, copyData, copyDone, sync } = message;
const systemDirectory = process.env.TMPDIR;

let engine: PGlite;
let server: TestServer;
let client: WireClient;
let other: WireClient;
let directory: string;

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(t text)");
  server = await startServer("ours", { db: engine });
});
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "disk-full-"));
  // No place for a temporary file: the same way as a full disk.
  process.env.TMPDIR = join(directory, "missing");
  client = await WireClient.login(server);
  other = await WireClient.login(server);
});
afterEach(() => {
  if (systemDirectory === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = systemDirectory;
  client.destroy();
  other.destroy();
  rmSync(directory, { recursive: true });
});
afterAll(async () => {
  await server.stop();
  await engine.close();
});

const line = copyData(`${"x".repeat(60_000)}\n`);
const tooMuch = Array.from({ length: 160 }, () => line);

/** The SQLSTATE of the error that ends the COPY, whether the connection goes on or not. */
async function errorOf(one: WireClient): Promise<string | undefined> {
  const messages = await one.until("Z").catch(() => one.untilEnd());
  return errorFields(messages)?.get("C");
}

test.each([
  ["in one segment", async () => client.send(query("copy t from stdin"), ...tooMuch, copyDone())],
  [
    "in segments of their own",
    async () => {
      client.send(query("copy t from stdin"));
      await client.until("G");
      for (const one of tooMuch) {
        if (client.ended) return;
        if (!client.socket.write(one)) await new Promise((resolve) => setImmediate(resolve));
      }
      client.send(copyDone());
    },
  ],
  [
    "in a pipeline",
    async () => client.send(parse("", "copy t from stdin"), bind("", ""), execute(""), ...tooMuch, copyDone(), sync()),
  ],
])("data %s that finds no room is an error of its client only", async (_, send) => {
  await send();
  // Its answer may have been lost with the connection; silence may not.
  await errorOf(client).catch(() => {});
  expect(await ask(other, [query("select count(*) from t")])).toBe("0");
  const next = await WireClient.login(server);
  expect(await ask(next, [query("select 'served'")])).toBe("served");
  await next.end();
  expect(readdirSync(directory)).toEqual([]);
});
