/**
 * The forms of COPY … FROM STDIN that the patched library has over a bare PGlite, and those that it refuses.
 *
 * Owns: the answers to the one who copies, and that nobody else notices. Does not own: who waits for whom meanwhile (`copy.test.ts`).
 */
import { afterEach, describe, expect, it } from "vitest";
import { caseServer } from "../support/case-server.ts";
import { bound, execute, prepare, unprepared } from "../support/pipelines.ts";
import { message, types, type WireClient } from "../support/wire-client.ts";

const { query, copyData, copyDone, copyFail, sync, flush } = message;
const schema = `
  create table c (n int, t text);
  create schema "Odd schema";
  create table "Odd schema"."a ""b"", (from stdin)" (n int, "x,y" text);
  create function copies() returns void language plpgsql as $$begin copy c from stdin; end$$`;
const binary = Buffer.from("5047434f50590aff0d0a00000000000000000000020000000400000001000000036f6e65ffff", "hex");
const contents = query("select * from c order by n");
const server = caseServer("ours", { schema });

/** Starts a COPY; returns what its CopyInResponse says: the format, and the columns' formats. */
async function begin(client: WireClient, sql: string): Promise<string> {
  client.send(query(sql));
  const messages = await client.until("G");
  expect(types(messages)).toBe("G");
  return messages[0]!.body.toString("hex");
}

afterEach(async () => {
  const [next] = await server.clients("next");
  expect(await server.ask(next, query("truncate c"))).toBe("TRUNCATE TABLE");
});

describe("COPY FROM STDIN is taken", () => {
  it.each([
    ["as text", "copy c from stdin", "000000", ["1\tone\n2\tt", "wo\n"], "1|one; 2|two"],
    ["with columns", "COPY public.c (t, n) FROM STDIN;", "00000200000000", ["one\t1\n"], "1|one"],
    [
      "as CSV",
      "copy c from stdin with (format csv, header, null '-') where n > 1",
      "000000",
      ["n,t\n1,a\n2,-\n"],
      "2|null",
    ],
    ["in binary", "copy c from stdin (format binary)", "010000", [binary], "1|one"],
    ["in binary with columns", "copy c (n, t) from stdin (format 'binary')", "01000200010001", [binary], "1|one"],
    ["behind a comment", "/* ; */ -- from stdin\n copy c (n) from stdin -- ;", "0000010000", ["3\n"], "3|null"],
    ["without data", "copy c from stdin", "000000", [], "SELECT 0"],
  ])("%s", async (_, sql, response, data, expected) => {
    const [copier] = await server.clients("copier");
    expect(await begin(copier, sql)).toBe(response);
    copier.send(...data.map((part) => copyData(part)), copyDone());
    expect(await server.hear(copier)).toMatch(/^COPY \d$/);
    expect(await server.ask(copier, contents)).toBe(expected);
  });

  it("into a table with everything in its name", async () => {
    const [copier] = await server.clients("copier");
    const table = '"Odd schema"."a ""b"", (from stdin)"';
    await begin(copier, `copy ${table} from stdin`);
    copier.send(copyData("1\tx\n"), copyDone());
    expect(await server.hear(copier)).toBe("COPY 1");
    expect(await server.ask(copier, query(`select * from ${table}`))).toBe("1|x");
  });

  it("several times in one write, with queries between", async () => {
    const [copier] = await server.clients("copier");
    const once = [query("copy c (n) from stdin"), copyData("7\n"), copyDone()];
    copier.send(query("select 1"), ...once, query("select count(*) from c"), ...once, contents);
    const seen = [];
    for (let answers = 0; answers < 5; answers++) seen.push(await server.hear(copier));
    expect(seen).toEqual(["1", "COPY 1", "1", "COPY 1", "7|null; 7|null"]);
  });

  it("with Flush and Sync between its data, while another client works", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await server.ask(other, ...prepare("kept", "select count(*) from c"));
    await begin(copier, "copy c from stdin");
    copier.send(copyData("1\to"), flush(), sync());
    expect(await server.ask(other, ...execute("kept"))).toBe("0");
    expect(await server.ask(other, query("insert into c values (2)"))).toBe("INSERT 0 1");
    copier.send(copyData("ne\n"), sync(), copyDone());
    expect(await server.hear(copier)).toBe("COPY 1");
    expect(await server.ask(other, ...execute("kept"))).toBe("2");
  });

  it("in a transaction, which is undone with it", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await server.ask(copier, query("begin"));
    await begin(copier, "copy c from stdin");
    copier.send(copyData("1\tone\n"), copyDone(), query("select count(*) from c"), query("rollback"));
    const seen = [await server.hear(copier), await server.hear(copier), await server.hear(copier)];
    expect([...seen, await server.ask(other, contents)]).toEqual(["COPY 1", "1", "ROLLBACK", "SELECT 0"]);
  });
});

describe("COPY FROM STDIN fails", () => {
  it.each([
    ["with CopyFail", "copy c from stdin", [copyData("1\tone\n"), copyFail("enough")], "57014"],
    ["with bad data", "copy c from stdin", [copyData("1\tone\nx\ttwo\n"), copyDone()], "22P02"],
    ["for a missing table", "copy missing from stdin", [copyData("1\n"), copyDone()], "42P01"],
    ["for a missing column", "copy c (nope) from stdin", [copyData("1\n"), copyDone()], "42703"],
    ["for an option that there is not", "copy c from stdin (format xml)", [copyDone()], "22023"],
  ])("%s, and in a transaction aborts it", async (_, sql, messages, code) => {
    const [copier, other] = await server.clients("copier", "other");
    await begin(copier, sql);
    copier.send(...messages);
    expect(await server.hear(copier)).toBe(code);
    expect(await server.ask(other, contents)).toBe("SELECT 0");
    await server.ask(copier, query("begin; insert into c values (1)"));
    await begin(copier, sql);
    copier.send(...messages, contents, query("commit"));
    const seen = [await server.hear(copier), await server.hear(copier), await server.hear(copier)];
    expect([...seen, await server.ask(other, contents)]).toEqual([code, "25P02", "ROLLBACK", "SELECT 0"]);
  });

  it("with another message in the middle, which is answered behind that", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await begin(copier, "copy c from stdin");
    copier.send(copyData("1\tone\n"), query("select 'next'"));
    expect([await server.hear(copier), await server.hear(copier)]).toEqual(["0A000", "next"]);
    expect(await server.ask(other, contents)).toBe("SELECT 0");
  });

  it("and data that comes without a COPY is ignored", async () => {
    const [copier] = await server.clients("copier");
    copier.send(copyData("1\n"), copyDone(), copyFail("what"), query("select 1"), copyDone());
    expect(await server.hear(copier)).toBe("1");
    expect(await server.ask(copier, ...unprepared("select 2"))).toBe("2");
  });
});

describe("COPY FROM STDIN is refused with 0A000", () => {
  it.each([
    ["at the end of a string of several statements", [query("select 1; copy c from stdin")], "1 / 0A000"],
    ["at the beginning of one", [query("copy c from stdin; select 1")], "0A000"],
    ["in the extended protocol", [message.parse("", "copy c from stdin"), ...bound(""), sync()], "0A000"],
    ["in a function", [query("select copies()")], "0A000"],
  ])("%s, and nobody else notices", async (_, messages, expected) => {
    const [copier, other] = await server.clients("copier", "other");
    await server.ask(other, ...prepare("kept", "select count(*) from c"));
    await server.ask(other, ...prepare("", "select 'unnamed'"));
    expect(await server.ask(copier, ...messages)).toBe(expected);
    expect(await server.ask(other, ...execute(""))).toBe("unnamed");
    // What a client sends that believes in its COPY.
    copier.send(copyData("1\tone\n"), copyDone());
    expect(await server.ask(copier, query("select 'goes on'"))).toBe("goes on");
    expect(await server.ask(other, ...execute("kept"))).toBe("0");
    await server.ask(copier, query("begin; insert into c values (1)"));
    expect(await server.ask(copier, ...messages)).toBe(expected);
    expect(await server.ask(copier, query("commit"))).toBe("ROLLBACK");
    expect(await server.ask(other, ...execute("kept"))).toBe("0");
  });

  it("with more than 64 MB of data, and nobody else notices", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await begin(copier, "copy c from stdin");
    const piece = copyData(`1\t${"x".repeat(1000)}\n`.repeat(1000));
    for (let sent = 0; sent <= 65 * 1024 * 1024; sent += piece.length) {
      if (!copier.socket.write(piece)) await new Promise((resolve) => copier.socket.once("drain", resolve));
    }
    expect(await server.ask(other, ...unprepared("select 1"))).toBe("1");
    copier.send(copyDone());
    expect([await server.hear(copier), await server.ask(other, contents)]).toEqual(["0A000", "SELECT 0"]);
    expect(await server.ask(copier, query("select 1"))).toBe("1");
  });
});
