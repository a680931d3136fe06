/**
 * A statement that does not check for interrupts, cancelled or without its client: it ends when it does, and nothing is lost.
 *
 * Real ones: a product of numbers of 60,000 digits takes a while, and PostgreSQL looks for nothing between several of them.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { outline, ProductServer, productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows, type WireClient } from "../support/wire-client.ts";

/** Each product takes a good part of a second. The function says when the first one begins: no check comes behind that. */
const deaf = (products: number) =>
  `select says_so() ${"and x * x is not null ".repeat(products)} from (select repeat('9', 60000)::numeric offset 0) t(x)`;

beforeAll(initializeTemplate);

/** Sends such a statement; resolves when it computes. */
async function compute(client: WireClient, products: number): Promise<void> {
  await client.query(`create or replace function says_so() returns boolean language plpgsql as
    $$begin raise notice 'now'; return true; end$$`);
  client.send(message.query(deaf(products)));
  await client.until("N");
}

describe("a statement that does not listen", () => {
  const server = productServer({ engine: { deafAfterMs: 100 } });
  /** A longer statement where the machine was too busy to see the first one compute. */
  const logged = async (run: (products: number) => Promise<number>) => {
    let line = "";
    for (const products of [5, 20, 80]) {
      line = `process ${await run(products)} (application_name "deaf"): "select says_so() and x * x is not null and`;
      if (server.log.join("\n").includes(line)) break;
    }
    expect(server.log.join("\n")).toContain(line);
    expect(server.log.join("\n")).toContain("has not looked for interrupts for 0.1 s");
  };

  test("and is cancelled ends late, with 57014 or its answer; the log names it; the data of the others is there", async () => {
    const other = await server.login();
    await other.query("create table kept (n int); insert into kept values (7); set my.own = 'mine'");
    const { client, processId, secretKey } = await server.loginWithKey({ application_name: "deaf" });
    await logged(async (products) => {
      await compute(client, products);
      const cancelled = server.cancel(processId, secretKey);
      expect(outline(await client.until("Z"))).toMatch(/^D?(E\(57014\)|C)ZI$/);
      await cancelled;
      return processId;
    });
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    expect(rows(await other.query("select n, current_setting('my.own') from kept"))).toEqual([["7", "mine"]]);
  });

  test("and whose client has gone ends late; the log names it; the data of the others is there", async () => {
    const other = await server.login();
    await other.query("create table kept_too (n int); insert into kept_too values (8)");
    await logged(async (products) => {
      const { client, processId } = await server.loginWithKey({ application_name: "deaf" });
      await compute(client, products);
      client.destroy();
      await other.query("select 1");
      return processId;
    });
    expect(rows(await other.query("select n from kept_too"))).toEqual([["8"]]);
    expect(errorFields(await (await server.login()).query("select n from kept_too"))).toBeUndefined();
  });
});

const stopsBeside = async (where: string): Promise<void> => {
  const dataDir = where === "directory" ? initializedDirectory() : undefined;
  const server = new ProductServer({ ...(dataDir ? { engine: { dataDir } } : {}) });
  await server.start();
  try {
    const client = await server.login();
    // For minutes.
    await compute(client, 1500);
    const ended = client.untilEnd();
    const began = performance.now();
    await server.stop();
    report(`stopped beside a statement that does not listen after ${(performance.now() - began).toFixed(0)} ms`);
    // The thread that could tell its clients is the one that computes.
    expect(errorFields(await ended)?.get("C")).toBeUndefined();
    const recovers = /^closing: .* will recover from (the|its) log$/m;
    if (dataDir) expect(server.log.join("\n")).toMatch(recovers);
    else expect(server.log.join("\n")).not.toContain("closing");
  } finally {
    server.dropClients();
    await server.stop();
  }
};

test("a stop does not wait for such a statement in memory", () => stopsBeside("memory"));
test("nor in a directory", { tags: "long" }, () => stopsBeside("directory"));
