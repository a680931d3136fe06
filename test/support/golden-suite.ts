/**
 * Suites of golden conversations.
 *
 * Owns: the server of a suite, and the ways in which each of its conversations is cut. Does not own: the conversations.
 * With `ORACLE=host:port` they are played against a PostgreSQL 18 there instead, as they are written: what they say is
 * what PostgreSQL does, but for those that are marked `oursOnly`.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  allTogether,
  byteByByte,
  cutAt,
  type Golden,
  grouped,
  expected as linesOf,
  oneByOne,
  play,
  readGolden,
} from "./golden.ts";
import { ProductServer, type ProductServerOptions } from "./product-server.ts";
import { type Address, WireClient } from "./wire-client.ts";

/** Some conversations on one server. */
export interface GoldenSuite {
  /** SQL that is run once, before the first conversation. */
  setup?: string;
  /** SQL that is run before each conversation, also before each of its cuts. */
  reset?: string;
  server?: ProductServerOptions;
  /** Whether the traces begin behind the login; true unless said otherwise. */
  login?: boolean;
  /** Name → trace. */
  conversations: Readonly<Record<string, string>>;
  /** Conversations in which this server differs from PostgreSQL, by name. */
  oursOnly?: Readonly<Record<string, string>>;
}

const oracle = process.env.ORACLE;

/** Registers the tests of a suite: each conversation in one piece, message by message, grouped, and cut at every byte. */
export function golden(name: string, suite: GoldenSuite): void {
  describe(name, () => {
    const server = new ProductServer(suite.server ?? {});
    let address: Address;
    let admin: WireClient | undefined;
    beforeAll(async () => {
      if (!oracle) await server.start();
      const [host, port] = (oracle ?? "").split(":");
      address = oracle ? { host: host!, port: Number(port) } : server.transport;
      const { setup, reset } = suite;
      if (!setup && !reset) return;
      admin = await WireClient.login(address);
      if (oracle) await admin.query("drop schema public cascade; create schema public");
      if (setup) await admin.query(setup);
      // Without a reset nobody else is connected while a conversation goes on.
      if (!reset) await admin.end();
    });
    afterAll(async () => {
      await admin?.end();
      await server.stop();
    });

    const conversations = { ...suite.conversations, ...(oracle ? {} : suite.oursOnly) };
    for (const [title, trace] of Object.entries(conversations)) {
      const conversation = readGolden(trace);
      const check = async (how: string, cut: typeof oneByOne): Promise<void> => {
        if (suite.reset) await admin!.query(suite.reset);
        const login = suite.login ?? true;
        expect(await play(address, conversation, { login, cut }), `${title}, ${how}`).toBe(linesOf(conversation));
      };
      test(title, async () => {
        await check("all together", allTogether);
        await check("one by one", oneByOne);
      });
      test.skipIf(oracle)(`${title}: byte by byte, and in groups`, async () => {
        await check("byte by byte", byteByByte);
        for (const mask of masks(conversation)) await check(`grouped by ${mask.toString(2)}`, grouped(mask));
      });
      test.skipIf(oracle)(`${title}: cut anywhere`, { tags: "long" }, async () => {
        for (let at = 1; at < conversation.byteCount; at++) await check(`cut at ${at}`, cutAt(conversation, at));
      });
    }
  });
}

// All groupings of up to five messages, some of the others.
function masks({ steps }: Golden): number[] {
  const joints = Math.max(...steps.map(({ messages }) => messages.length)) - 1;
  if (joints < 1) return [];
  if (joints <= 4) return Array.from({ length: 2 ** joints }, (_, mask) => mask);
  return [0b1, 0b10, 0b101, 0b1010, 0b110110, 0b1001001, 0b111000].map((mask) => mask & (2 ** joints - 1));
}
