/** COPY of much data, in messages that end anywhere, and data that comes slowly. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, hear } from "../support/answer.ts";
import { memoryBelow, memoryInUse } from "../support/memory.ts";
import { productServer } from "../support/product-server.ts";
import { Random, runSeed } from "../support/random.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, type WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, copyData, copyDone } = message;
const mebibyte = 1024 * 1024;

const server = productServer();
let client: WireClient;

beforeAll(async () => {
  await (await server.login()).query("create table big(n int, t text)");
});
beforeEach(async () => {
  client = await server.login();
});
afterEach(async () => {
  await client.query("truncate big");
});

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

const pieces = (data: Buffer, longest: number) =>
  new Random(runSeed).pieces(data, longest).map((piece) => copyData(Buffer.from(piece)));

describe("much data", () => {
  test(`in messages that end anywhere arrives whole (SEED=${runSeed})`, async () => {
    const { data, count } = lines(20 * mebibyte);
    client.send(query("copy big from stdin"));
    await client.until("G");
    await send(pieces(data, 200_000));
    client.send(copyDone());
    expect(await hear(client)).toBe(`COPY ${count}`);
    expect(await ask(client, [query(sums)])).toBe(expectedSums(count));
  });

  test("in one message arrives whole", async () => {
    const { data, count } = lines(12 * mebibyte);
    client.send(query("copy big from stdin"), copyData(data), copyDone());
    expect(await hear(client)).toBe(`COPY ${count}`);
    expect(await ask(client, [query(sums)])).toBe(expectedSums(count));
  });

  test("in the extended protocol arrives whole, and the pipeline goes on", async () => {
    const { data, count } = lines(12 * mebibyte);
    client.send(parse("", "copy big from stdin"), bind("", ""), execute(""), message.flush());
    await client.until("G");
    await send(pieces(data, 100_000));
    client.send(copyDone(), parse("", sums), bind("", ""), execute(""), sync());
    expect(await hear(client)).toBe(`COPY ${count} / ${expectedSums(count)}`);
  });

  test("that is not good in its last line is an error, and none of it is there", async () => {
    const { data } = lines(9 * mebibyte);
    client.send(query("copy big from stdin"), copyData(data), copyData("x\ty\n"), copyDone());
    expect(await hear(client)).toBe("22P02");
    expect(await ask(client, [query("select count(*) from big")])).toBe("0");
  });

  test("is not kept", async () => {
    client.send(query("copy big from stdin where false"));
    await client.until("G");
    const before = memoryInUse();
    const piece = copyData(`1\t${"x".repeat(5_000)}\n`.repeat(20));
    const count = Math.floor((30 * mebibyte) / piece.length);
    await send(Array.from({ length: count }, () => piece));
    await waitUntil("all is sent", () => client.socket.writableLength === 0);
    await memoryBelow(before, 0.5 * count * piece.length);
    client.send(copyDone());
    expect(await hear(client)).toBe("COPY 0");
  });
});

test("data of two clients that comes slowly stays apart, and keeps nobody waiting", async () => {
  const [other, bystander] = [await server.login(), await server.login()];
  for (const one of [client, other]) {
    one.send(query("copy big from stdin"));
    await one.until("G");
  }
  for (let n = 0; n < 50; n++) {
    const one = n % 2 ? client : other;
    one.send(copyData(line(n).slice(0, 5)));
    expect(await ask(bystander, [query("select count(*) from big")])).toBe("0");
    one.send(copyData(line(n).slice(5)));
  }
  client.send(copyDone());
  other.send(message.copyFail("not mine"));
  expect([await hear(client), await hear(other)]).toEqual(["COPY 25", "57014"]);
  expect(await ask(bystander, [query("select count(*), sum(n % 2) from big")])).toBe("25|25");
});
