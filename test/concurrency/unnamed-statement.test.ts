/**
 * The unnamed statement of a connection, kept across a Sync while other connections use theirs.
 *
 * Owns: that it lives as long as in PostgreSQL: until the connection's own next Parse of it, simple Query or Close.
 * Does not own: named statements.
 */
import { expect, it } from "vitest";
import { caseServer } from "../support/case-server.ts";
import { closeStatement, execute, prepare } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { message, types, type WireClient } from "../support/wire-client.ts";

const describeUnnamed = [message.describe("S", ""), message.sync()];

describeTargets("the unnamed statement on %s", (target) => {
  const server = caseServer(target, { sharesStockEngine: true });

  it("is not replaced by another client's Parse", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    await server.ask(b, ...prepare("", "select 'of b'"));
    const seen = [await server.ask(a, ...execute("")), await server.ask(b, ...execute(""))];
    // On the stock library the first is a wrong row without an error.
    expect(seen).toEqual({ ours: ["of a", "of b"], stock: ["of b", "of b"] }[target]);
  });

  it("takes its own number of parameters when several clients prepare and run in turn", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select $1::int"));
    await server.ask(b, ...prepare("", "select $1::int, $2::int, $3::int, $4::int, $5::int"));
    const seen = [
      await server.ask(a, ...execute("", ["1"])),
      await server.ask(b, ...execute("", ["1", "2", "3", "4", "5"])),
      await server.ask(a, ...execute("", ["2"])),
    ];
    expect(seen).toEqual({ ours: ["1", "1|2|3|4|5", "2"], stock: ["08P01", "1|2|3|4|5", "08P01"] }[target]);
  });

  it("is not dropped by another client's simple Query", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    await server.ask(b, message.query("select 'of b'"));
    expect(await server.ask(a, ...execute(""))).toBe({ ours: "of a", stock: "26000" }[target]);
  });

  it("is dropped by the client's own simple Query, also when another client has prepared one since", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    await server.ask(a, message.query("select 1"));
    const dropped = await server.ask(a, ...execute(""));
    await server.ask(b, ...prepare("", "select 'of b'"));
    const seen = [dropped, await server.ask(a, ...execute("")), await server.ask(b, ...execute(""))];
    expect(seen).toEqual({ ours: ["26000", "26000", "of b"], stock: ["26000", "of b", "of b"] }[target]);
  });

  it("outlives the ROLLBACK for a client that has gone", async () => {
    const [a, gone] = await server.clients("a", "gone");
    await server.ask(gone, ...prepare("begins", "begin"));
    await server.ask(a, ...prepare("", "select 'of a'"));
    await server.ask(gone, ...execute("begins"));
    const answer = server.ask(a, ...execute(""));
    gone.destroy();
    expect(await answer).toBe({ ours: "of a", stock: "26000" }[target]);
  });

  it("is described as its own client prepared it", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select $1::int as mine"));
    await server.ask(b, ...prepare("", "select $1::text as first, $2::text as second"));
    const seen = await columnNames(a, describeUnnamed);
    expect(seen).toEqual({ ours: ["mine"], stock: ["first", "second"] }[target]);
  });

  it("of one client is out of reach for a client that has none", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    b.send(...describeUnnamed);
    const description = types((await b.until("Z")).filter(({ type }) => type !== "E"));
    const seen = [description, await server.ask(b, ...execute("")), await server.ask(a, ...execute(""))];
    expect(seen).toEqual({ ours: ["Z", "26000", "of a"], stock: ["tTZ", "of a", "of a"] }[target]);
  });

  it("is closed by its own client only", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    await server.ask(b, ...closeStatement(""));
    const afterOther = await server.ask(a, ...execute(""));
    await server.ask(a, ...closeStatement(""));
    await server.ask(b, ...prepare("", "select 'of b'"));
    const seen = [afterOther, await server.ask(a, ...execute("")), await server.ask(b, ...execute(""))];
    expect(seen).toEqual({ ours: ["of a", "26000", "of b"], stock: ["26000", "of b", "of b"] }[target]);
  });
});

async function columnNames(client: WireClient, messages: Uint8Array[]): Promise<string[]> {
  client.send(...messages);
  const answer = await client.until("Z");
  const body = answer.find(({ type }) => type === "T")!.body;
  const names: string[] = [];
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    // Table, column, type, its length and modifier, format.
    at = end + 19;
  }
  return names;
}
