/**
 * The unnamed statement of a connection, kept across a Sync while other connections use theirs.
 *
 * Owns: that it lives as long as in PostgreSQL: until the connection's own next Parse of it, simple Query or Close.
 * Does not own: named statements.
 */
import { expect, it } from "vitest";
import { caseServer } from "../support/case-server.ts";
import { closeStatement, execute, prepare, unprepared } from "../support/pipelines.ts";
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

  it("is gone after a Query or a Close in the batch that prepared it, or prepared it again", async () => {
    const [a, b] = await server.clients("a", "b");
    const gone: string[] = [];
    for (const end of [[message.query("select 1")], closeStatement("")]) {
      await server.ask(a, message.parse("", "select 'of a'"), ...end);
      await server.ask(b, ...prepare("", "select 'of b'"));
      gone.push(await server.ask(a, ...execute("")));
      await server.ask(a, ...prepare("", "select 'of a'"));
      await server.ask(b, ...prepare("", "select 'of b'"));
      await server.ask(a, ...execute("").slice(0, -1), ...end);
      await server.ask(b, ...prepare("", "select 'of b'"));
      gone.push(await server.ask(a, ...execute("")));
    }
    if (target === "ours") expect(gone).toEqual(["26000", "26000", "26000", "26000"]);
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

  it.each([
    ["the Describe of a name that there is not", [message.describe("S", "never"), message.sync()], "26000"],
    ["a Sync", [message.sync()], ""],
    ["a Parse that fails", prepare("", "selec"), "42601"],
    ["a Parse by name", prepare("by name", "select 2"), ""],
    ["the Close of its own", closeStatement(""), ""],
    ["a Parse that is skipped", [message.bind("", "never"), ...prepare("", "select 2")], "26000"],
    ["a Query that fails", [message.query("selec")], "42601"],
  ])("is not reached with Bind behind %s, by a client that has none", async (_, first, answered) => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'of a'"));
    const seen = [
      await server.ask(b, ...first),
      await server.ask(b, ...execute("")),
      await server.ask(a, ...execute("")),
    ];
    if (target === "ours") expect(seen).toEqual([answered, "26000", "of a"]);
    await server.ask(b, ...closeStatement("by name"));
  });

  it("lives across Sync through whole pipelines of the others, and their named ones of its own client", async () => {
    const [a, b] = await server.clients("a", "b");
    const seen = [await server.ask(a, ...prepare("", "select 'of a', $1::int"))];
    for (const turn of ["1", "2"]) {
      await server.ask(a, ...prepare(`named ${turn}`, "select 'named'"));
      await server.ask(b, ...unprepared("select 'of b'"));
      await server.ask(b, ...unprepared("select 1/0"));
      seen.push(await server.ask(a, ...execute(`named ${turn}`)), await server.ask(a, ...execute("", [turn])));
      await server.ask(a, ...closeStatement(`named ${turn}`));
    }
    if (target === "ours") expect(seen).toEqual(["", "named", "of a|1", "named", "of a|2"]);
    else expect(seen).not.toContain("of a|1");
  });

  it.each([
    ["Close", message.close("S", ""), ""],
    ["Describe", message.describe("S", ""), "26000"],
    ["Bind", message.bind("", ""), "26000"],
  ])("that failed to parse is not tried again by a %s behind another client's", async (_, first, answered) => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "selec"));
    await server.ask(b, ...unprepared("select 'of b'"));
    const seen = [
      await server.ask(a, first, message.sync()),
      await server.ask(a, first, ...unprepared("select 'of a'")),
    ];
    if (target === "ours") expect(seen).toEqual([answered, answered || "of a"]);
  });

  it("is gone after a Parse that is skipped: from the answers it could have failed", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("", "select 'first'"));
    const skipped = [message.bind("", "never"), ...prepare("", "select 'skipped'")];
    expect(await server.ask(a, ...skipped)).toBe("26000");
    await server.ask(b, ...unprepared("select 'of b'"));
    expect(await server.ask(a, ...execute(""))).toBe({ ours: "26000", stock: "of b" }[target]);
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
