/** COPY of more data than is kept in memory, of more than is allowed, and data that comes slowly. */
import { readdirSync, readlinkSync } from "node:fs";
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, hear } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { memoryBelow, memoryInUse } from "../support/memory.ts";
import { Random, runSeed } from "../support/random.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, copyData, copyDone } = message;
const mebibyte = 1024 * 1024;
const maxCopyBytes = 10 * mebibyte;

let engine: PGlite;
let server: TestServer;
/** One with a limit that is soon reached. */
let limited: TestServer;
let client: WireClient;

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table big(n int, t text)");
  server = await startServer("ours", { db: engine });
  limited = await startServer("ours", { db: engine, maxCopyBytes });
});
beforeEach(async () => {
  client = await WireClient.login(server);
  await client.query("truncate big");
});
afterEach(async () => {
  client.destroy();
  await waitUntil("it is gone", () => [server, limited].every((one) => one.server.getStats().activeConnections === 0));
  expect(unlinkedFiles()).toEqual([]);
});
afterAll(async () => {
  await server.stop();
  await limited.stop();
  await engine.close();
});

/** Temporary files of COPY data that are open in this process. */
function unlinkedFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.includes("pglite-socket-spool") ? [path] : [];
    } catch {
      return [];
    }
  });
}

const line = (n: number): string => `${n}\t${String(n).repeat(40)}\n`;

/** Lines of about `bytes` bytes, and how many they are. */
function lines(bytes: number): { data: Buffer; count: number } {
  const parts: string[] = [];
  let length = 0;
  while (length < bytes) {
    const next = line(parts.length);
    parts.push(next);
    length += next.length;
  }
  return { data: Buffer.from(parts.join("")), count: parts.length };
}

const sums = "select count(*), count(distinct n), sum(length(t)), bool_and(t = repeat(n::text, 40)) from big";

function expectedSums(count: number): string {
  let length = 0;
  for (let n = 0; n < count; n++) length += String(n).length * 40;
  return `${count}|${count}|${length}|t`;
}

async function send(messages: readonly Buffer[]): Promise<void> {
  for (const one of messages) {
    if (!client.socket.write(one)) await new Promise((resolve) => client.socket.once("drain", resolve));
  }
}

describe("more than 8 MiB", () => {
  test(`in messages that end anywhere arrives whole (SEED=${runSeed})`, async () => {
    const { data, count } = lines(20 * mebibyte);
    client.send(query("copy big from stdin"));
    await client.until("G");
    await send(new Random(runSeed).pieces(data, 200_000).map((piece) => copyData(Buffer.from(piece))));
    expect(unlinkedFiles()).toHaveLength(1);
    client.send(copyDone());
    expect(await hear(client)).toBe(`COPY ${count}`);
    expect(await ask(client, [query(sums)])).toBe(expectedSums(count));
  });

  test("in one message arrives whole", async () => {
    const { data, count } = lines(12 * mebibyte);
    client.send(query("copy big from stdin"), copyData(data), copyDone());
    await client.until("G");
    expect(await hear(client)).toBe(`COPY ${count}`);
    expect(await ask(client, [query(sums)])).toBe(expectedSums(count));
  });

  test("in the extended protocol arrives whole, and the pipeline goes on", async () => {
    const { data, count } = lines(12 * mebibyte);
    client.send(parse("", "copy big from stdin"), bind("", ""), execute(""));
    await client.until("G");
    await send(new Random(1).pieces(data, 100_000).map((piece) => copyData(Buffer.from(piece))));
    client.send(copyDone(), parse("", sums), bind("", ""), execute(""), sync());
    expect(await hear(client)).toBe(`COPY ${count} / ${expectedSums(count)}`);
  });

  test("that is not good in its last line is an error, and none of it is there", async () => {
    const { data } = lines(9 * mebibyte);
    client.send(query("copy big from stdin"), copyData(data), copyData("x\ty\n"), copyDone());
    await client.until("G");
    expect(await hear(client)).toBe("22P02");
    expect(await ask(client, [query("select count(*) from big")])).toBe("0");
  });

  test("is not in memory", async () => {
    client.send(query("copy big from stdin"));
    await client.until("G");
    const before = memoryInUse();
    const piece = copyData(`1\t${"x".repeat(5_000)}\n`.repeat(20));
    const count = Math.floor((30 * mebibyte) / piece.length);
    await send(Array.from({ length: count }, () => piece));
    await waitUntil("all is sent", () => client.socket.writableLength === 0);
    await memoryBelow(before, 0.5 * count * piece.length);
    client.send(copyDone());
    expect(await hear(client)).toBe(`COPY ${count * 20}`);
  });

  test("of a client that goes is gone with it", async () => {
    const { data } = lines(9 * mebibyte);
    client.send(query("copy big from stdin"));
    await client.until("G");
    await send([copyData(data)]);
    await waitUntil("it is in a file", () => unlinkedFiles().length === 1);
    client.destroy();
    await waitUntil("the file is gone", () => unlinkedFiles().length === 0);
  });
});

describe("more than maxCopyBytes", () => {
  beforeEach(async () => {
    await client.end();
    client = await WireClient.login(limited);
  });

  const piece = copyData(Buffer.from(line(7).repeat(10_000)));

  test("is an error that names the limit, none of it is there, and the connection goes on", async () => {
    client.send(query("copy big from stdin"));
    await client.until("G");
    await send(Array.from({ length: Math.ceil(maxCopyBytes / piece.length) + 3 }, () => piece));
    client.send(copyDone());
    const error = errorFields(await client.until("Z"));
    expect(error?.get("C")).toBe("57014");
    expect(error?.get("M")).toContain(`${maxCopyBytes} bytes, the limit of this server (maxCopyBytes)`);
    expect(await ask(client, [query("select count(*) from big")])).toBe("0");
  });

  test("in a pipeline skips to its Sync", async () => {
    client.send(parse("", "copy big from stdin"), bind("", ""), execute(""));
    await client.until("G");
    await send(Array.from({ length: Math.ceil(maxCopyBytes / piece.length) + 3 }, () => piece));
    client.send(copyDone(), parse("", "select 1"), bind("", ""), execute(""), sync());
    expect(types(await client.until("Z")).replaceAll("S", "")).toBe("EZ");
    expect(await ask(client, [query("select count(*) from big")])).toBe("0");
  });
});

describe("data that comes slowly", () => {
  test("keeps nobody waiting outside of a transaction", async () => {
    const other = await WireClient.login(server);
    client.send(query("copy big from stdin"));
    await client.until("G");
    for (let n = 0; n < 20; n++) {
      client.send(copyData(line(n).slice(0, 5)));
      expect(await ask(other, [query("select count(*) from big")])).toBe("0");
      client.send(copyData(line(n).slice(5)));
    }
    client.send(copyDone());
    expect(await hear(client)).toBe("COPY 20");
    expect(await ask(other, [query(sums)])).toBe(expectedSums(20));
    await other.end();
  });

  test("of two clients at once stays apart", async () => {
    const other = await WireClient.login(server);
    for (const one of [client, other]) {
      one.send(query("copy big from stdin"));
      await one.until("G");
    }
    for (let n = 0; n < 50; n++) (n % 2 ? client : other).send(copyData(line(n)));
    client.send(copyDone());
    other.send(message.copyFail("not mine"));
    expect([await hear(client), await hear(other)]).toEqual(["COPY 25", "57014"]);
    expect(await ask(other, [query("select count(*), sum(n % 2) from big")])).toBe("25|25");
    await other.end();
  });
});
