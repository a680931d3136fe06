/**
 * Ten clients of real drivers with statements of equal names: five of pg, five of postgres.js, on the patched library alone, on the
 * product's shared sessions, and on the stock library.
 *
 * Owns: counting the answers that are another query's, and printing them. Does not own: storms of raw messages
 * (`hundred-thousand.long.test.ts`, `split-storm.long.test.ts`).
 *
 * @module-tag long
 */
import pg from "pg";
import postgres from "postgres";
import { expect, test } from "vitest";
import { ProductServer } from "../support/product-server.ts";
import { startServer, type Target } from "../support/servers.ts";
import { within } from "../support/wait-until.ts";

const queries = Number(process.env.QUERIES ?? 50_000);
const clients = 10;
const silenceMs = 5_000;

interface Counts {
  right: number;
  wrong: number;
  errors: number;
  unanswered: number;
}

/** Runs a statement; resolves with the row. */
type Run = (name: string, sql: string, values: string[]) => Promise<Record<string, unknown> | undefined>;

async function pgClient(url: string): Promise<Run> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  return async (name, text, values) => (await client.query({ name, text, values })).rows[0];
}

async function postgresJsClient(url: string): Promise<Run> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  return async (_name, text, values) => (await sql.unsafe(text, values, { prepare: true }))[0];
}

/** Statement `n` of every client has the same name, and another text for each client. */
async function storm(url: string, total: number): Promise<Counts> {
  const counts: Counts = { right: 0, wrong: 0, errors: 0, unanswered: 0 };
  const one = async (client: number): Promise<void> => {
    const run = await (client % 2 === 0 ? pgClient(url) : postgresJsClient(url));
    for (let turn = 0; turn < total / clients; turn++) {
      const statement = turn % 8;
      const text = `select $1::int as turn, ${client} as client, ${statement} as statement${", 1".repeat(client)}`;
      const asked = run(`s${statement}`, text, [String(turn)]).catch(() => "error" as const);
      const row = await within(silenceMs, asked);
      const isRight =
        typeof row === "object" && row.turn === turn && row.client === client && row.statement === statement;
      if (row === undefined) counts.unanswered++;
      else if (row === "error") counts.errors++;
      else if (isRight) counts.right++;
      else counts.wrong++;
      // A client that gets no answer gets none to what it sends then.
      if (row === undefined) return;
    }
  };
  await Promise.allSettled(Array.from({ length: clients }, (_, client) => one(client)));
  return counts;
}

const allRight = { right: queries, wrong: 0, errors: 0, unanswered: 0 };

function print(what: string, counts: Counts): void {
  process.stdout.write(`driver storm, ${what}: ${JSON.stringify(counts)}\n`);
}

async function onLibrary(target: Target, total: number): Promise<Counts> {
  const server = await startServer(target);
  try {
    const counts = await storm(`postgresql://postgres:postgres@${server.host}:${server.port}/postgres`, total);
    print(target, counts);
    return counts;
  } finally {
    await server.stop();
  }
}

test("the patched library answers each query with its own row", async () => {
  expect(await onLibrary("ours", queries)).toEqual(allRight);
});

test("shared sessions answer each query with its own row", async () => {
  const server = new ProductServer({ sessions: "shared" });
  await server.start();
  try {
    const counts = await storm(`postgresql://postgres@127.0.0.1:${server.transport.port}/postgres`, queries);
    print("--sessions shared", counts);
    expect(counts).toEqual(allRight);
  } finally {
    await server.stop();
  }
});

test("the stock library does not", async () => {
  const { right, wrong, errors, unanswered } = await onLibrary("stock", 2_000);
  expect(wrong + errors + unanswered).toBeGreaterThan(right / 10);
});
