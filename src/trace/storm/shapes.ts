/**
 * The shapes of the storm's exchanges: how clients and drivers put the messages of a query together.
 *
 * Owns: the shapes. Does not own: the single messages (`exchange.ts`) or the splitting (`split.ts`).
 * Invariant: an exchange depends on its `Source` alone, and one with the same seed, client and query is the same.
 */
import {
  bind,
  closeStatement,
  command,
  describePortal,
  describeStatement,
  type Exchange,
  execute,
  flush,
  type Message,
  parse,
  query,
  type Statement,
  sync,
} from "./exchange.ts";
import type { Random } from "./random.ts";

/**
 * One pipeline each, begun and ended by the client itself: right on any server that runs a pipeline as one piece, even
 * if its clients share a session.
 */
export const pipelineShapes = ["plain", "describe first", "pipeline", "simple query"] as const;

/** Shapes that need more: statements of one's own, transactions, errors and hang-ups that disturb nobody. */
export const sessionShapes = [
  "reused name",
  "kept statement",
  "unnamed across Sync",
  "transaction",
  "failing at Parse",
  "failing at Execute",
  "hang-up",
] as const;

/** The name of a shape. */
export type Shape = (typeof pipelineShapes)[number] | (typeof sessionShapes)[number];

/** What an exchange is made from. */
interface Source {
  readonly client: number;
  /** The number of the client's query; even ones have one parameter, odd ones five. */
  readonly query: number;
  readonly random: Random;
  /** How often this connection has used its kept statement; 0 if it has not prepared it. */
  readonly keptUses: number;
}

/** How the shape `kept statement` is called when the connection has prepared it before. */
export const keptStatementAgain = "kept statement again";

const longestText = 40;
const oneInLong = 50;
const longestLongText = 3000;
const usesOfKeptStatement = 5;

/** Makes the exchange of a client's next query. */
export function makeExchange(shape: Shape, source: Source): Exchange {
  const statement = echo(source);
  const { random } = source;
  switch (shape) {
    case "plain":
      return { shape, messages: [...unnamed(statement), sync()] };
    case "describe first":
      return {
        shape,
        messages: [parse("", statement), describeStatement("", statement), flush(), ...run("", statement), sync()],
      };
    case "pipeline": {
      const count = 2 + random.below(3);
      const statements = Array.from({ length: count }, (_, index) => echo(source, index));
      return { shape, messages: [...statements.flatMap(unnamed), sync()] };
    }
    case "reused name":
      return { shape, messages: [parse("s2", statement), ...run("s2", statement), closeStatement("s2"), sync()] };
    case "simple query":
      return { shape, messages: [query(literal(source))] };
    case "kept statement":
      return {
        shape: source.keptUses === 0 ? shape : keptStatementAgain,
        messages: keptStatement(source),
        keepsState: true,
      };
    case "unnamed across Sync":
      return {
        shape,
        messages: [parse("", statement), describeStatement("", statement), sync(), ...run("", statement), sync()],
      };
    case "transaction":
      return { shape, messages: transaction(source), keepsState: true };
    case "failing at Parse":
      return {
        shape,
        messages: [failingParse, ...unanswered(bind("", { parameters: ["x"] }), execute(statement)), sync()],
      };
    case "failing at Execute":
      return { shape, messages: failingAtExecute(source) };
    case "hang-up":
      return { shape, messages: random.pick(hangUps)(statement), hangsUp: true };
  }
}

/** Where a client can leave: with Flush before it, so that all of its replies come. */
const hangUps: readonly ((statement: Statement) => Message[])[] = [
  (statement) => [parse("", statement), flush()],
  (statement) => [parse("s3", statement), ...unnamed(statement), flush()],
  () => [failingParse, flush()],
  (statement) => [command("begin", "BEGIN", "T"), ...unnamed(statement), sync("T")],
  (statement) => [command("begin", "BEGIN", "T"), ...unnamed(statement), flush()],
];

const failingParse: Message = {
  ...parse("", { sql: "select $1::text from no_such_table" }),
  replies: [{ type: "E", code: "42P01" }],
};

/** Parse, Bind, Describe, Execute as most drivers send them. */
function unnamed(statement: Statement): Message[] {
  return [parse("", statement), bind("", statement), describePortal(statement), execute(statement)];
}

function run(name: string, statement: Statement): Message[] {
  return [bind(name, statement), execute(statement)];
}

function unanswered(...messages: Message[]): Message[] {
  return messages.map(({ bytes }) => ({ bytes, replies: [] }));
}

/** A statement with one or five parameters that returns them, behind a text that says whose it is. */
function echo({ client, query, random }: Source, index = 0): Statement {
  const label = `client ${client} query ${query}.${index}`;
  const rows = random.oneIn(4) ? 1 + random.below(5) : 1;
  const from = rows === 1 ? "" : ` from generate_series(1, ${rows})`;
  const value = `${label} ${random.text(random.oneIn(oneInLong) ? longestLongText : longestText)}`;
  if (query % 2 === 0) {
    const sql = `select '${label}'::text as source, $1::text as value${from}`;
    return { sql, parameters: [value], row: [label, value], rows };
  }
  const parameters = [
    value,
    String(client),
    random.oneIn(4) ? null : random.text(longestText),
    String(client * 10_000_000_000 + query),
    random.oneIn(2) ? "t" : "f",
  ];
  const sql = `select '${label}'::text as source, $1::text, $2::int4, $3::text, $4::int8, $5::bool${from}`;
  return { sql, parameters, row: [label, ...parameters], rows };
}

function literal({ client, query, random }: Source): Statement {
  const row = [`client ${client} query ${query}`, String(client), String(random.below(1_000_000))];
  const rows = 1 + random.below(3);
  const sql = `select '${row[0]}'::text, ${row[1]}::int4, ${row[2]}::int4 from generate_series(1, ${rows})`;
  return { sql, parameters: [], row, rows };
}

/** All clients call it `s1`, and with every client it is another statement. */
function keptStatement({ client, query, random, keptUses }: Source): Message[] {
  const label = `kept by client ${client}`;
  const value = `query ${query} ${random.text(longestText)}`;
  const statement: Statement =
    client % 2 === 0
      ? { sql: `select '${label}'::text, $1::text`, parameters: [value], row: [label, value], rows: 1 }
      : {
          sql: `select '${label}'::text, $1::text, $2::int4, $3::int4, $4::int4, $5::text`,
          parameters: [value, "1", "2", String(query), null],
          row: [label, value, "1", "2", String(query), null],
          rows: 1,
        };
  const prepare = keptUses === 0 ? [parse("s1", statement), describeStatement("s1", statement)] : [];
  const drop = keptUses === usesOfKeptStatement - 1 ? [closeStatement("s1")] : [];
  return [...prepare, ...run("s1", statement), ...drop, sync()];
}

/** How often a connection has used its kept statement after one more use. */
export function usesAfter(keptUses: number): number {
  return (keptUses + 1) % usesOfKeptStatement;
}

/** What it sets for its transaction it must read again in the same transaction. */
function transaction(source: Source): Message[] {
  const mine = `client ${source.client} query ${source.query}`;
  const set: Statement = {
    sql: "select set_config('storm.owner', $1, true)",
    parameters: [mine],
    row: [mine],
    rows: 1,
  };
  const read: Statement = {
    sql: "select current_setting('storm.owner'), $1::text",
    parameters: [mine],
    row: [mine, mine],
    rows: 1,
  };
  const statement = echo(source);
  const [end, tag] = source.random.oneIn(2) ? ["commit", "COMMIT"] : ["rollback", "ROLLBACK"];
  return [
    command("begin", "BEGIN", "T"),
    ...unnamed(set),
    sync("T"),
    ...unnamed(statement),
    sync("T"),
    ...unnamed(read),
    sync("T"),
    command(end!, tag!, "I"),
  ];
}

/** Fails when it runs: a failure of constants would already come with Bind. */
function failingAtExecute(source: Source): Message[] {
  const sql = "select 1 / count(*) filter (where g > $1::int4) from generate_series(1, 3) g";
  const failing: Statement = { sql, parameters: ["9"], row: [null], rows: 1 };
  const skipped = echo(source);
  return [
    parse("", failing),
    bind("", failing),
    describePortal(failing),
    { ...execute(failing), replies: [{ type: "E", code: "22012" }] },
    ...unanswered(...unnamed(skipped)),
    sync(),
  ];
}
