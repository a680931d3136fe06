/** One connection's conversation with a session that it shares: the cases that have a name. */
import { beforeEach, describe, expect, test } from "vitest";
import { readErrorFields } from "../../../src/wire/query-results.ts";
import { Random } from "../../support/random.ts";
import { type ModelClient, SharedModel } from "../../support/shared-model.ts";
import { message } from "../../support/wire-client.ts";

const { parse, bind, execute, describe: describeMessage, close, sync, query, flush } = message;
const [one, two, three] = ["select 'one'", "select 'two'", "select 'three'"] as const;

let model: SharedModel;
let a: ModelClient;
let b: ModelClient;

beforeEach(() => {
  model = new SharedModel(new Random(1));
  a = model.client();
  b = model.client();
});

/** The answer in short: type letters, with rows, tags, SQLSTATEs and statuses. */
function short(answer: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    const type = String.fromCharCode(answer[at]!);
    const body = answer.subarray(at + 5, at + 1 + answer.readInt32BE(at + 1));
    if (type === "E") parts.push(`${readErrorFields(body).get("C")}`);
    else if (type === "D") parts.push(body.toString("utf8", 6));
    else if (type === "Z") parts.push(`Z${body}`);
    else if (type === "C") parts.push(body.toString("utf8", 0, body.length - 1));
    else parts.push(type);
  }
  return parts.join(" ");
}

const ask = (client: ModelClient, ...messages: Buffer[]): string => short(client.send(messages));
const run = (client: ModelClient, name: string): string => ask(client, bind("", name), execute(""), sync());

describe("named statements", () => {
  test("of two clients may have the same name", () => {
    expect(ask(a, parse("s", one), sync())).toBe("1 ZI");
    expect(ask(b, parse("s", two), sync())).toBe("1 ZI");
    expect(run(a, "s")).toBe("2 one SELECT 1 ZI");
    expect(run(b, "s")).toBe("2 two SELECT 1 ZI");
    expect(model.backend.statementNames).toHaveLength(2);
  });

  test("are gone from the session when they are closed or deallocated", () => {
    ask(a, parse("s", one), parse("t", two), sync());
    ask(a, close("S", "s"), sync());
    expect(ask(a, query("deallocate t"))).toBe("DEALLOCATE ZI");
    expect(model.backend.statementNames).toEqual([]);
    expect(run(a, "s")).toBe("26000 ZI");
  });

  test("come back after somebody else's DEALLOCATE ALL, but not after one's own", () => {
    ask(a, parse("s", one), sync());
    ask(b, parse("s", two), sync());
    expect(ask(b, query("deallocate all"))).toBe("DEALLOCATE ALL ZI");
    expect(run(a, "s")).toBe("2 one SELECT 1 ZI");
    expect(run(b, "s")).toBe("26000 ZI");
    expect(ask(a, describeMessage("S", "s"), sync())).toBe("t T ZI");
  });

  test("come back once: what was restored stays", () => {
    ask(a, parse("s", one), sync());
    ask(b, query("discard all"));
    expect([run(a, "s"), run(a, "s")]).toEqual(["2 one SELECT 1 ZI", "2 one SELECT 1 ZI"]);
    expect(model.backend.statementNames).toHaveLength(1);
  });

  test("of the engine cannot be reached by their names there", () => {
    ask(a, parse("s", one), sync());
    const [engineName = ""] = model.backend.statementNames;
    for (const client of [a, b]) {
      expect(run(client, engineName)).toBe("26000 ZI");
      expect(ask(client, close("S", engineName), describeMessage("S", engineName), sync())).toBe("3 26000 ZI");
      expect(ask(client, parse(engineName, two), sync())).toBe("1 ZI");
      expect(run(client, engineName)).toBe("2 two SELECT 1 ZI");
    }
    expect(run(a, "s")).toBe("2 one SELECT 1 ZI");
  });

  test("that SQL made are reached by their own names", () => {
    // The model has no PREPARE: what is not this client's is asked for as it is called.
    const bytes = a.conversation.plan(...planned([bind("", "made_by_sql")]), 0, 1).bytes;
    expect(Buffer.from(bytes).toString("latin1")).toContain("made_by_sql\0");
  });

  test("are called by the client's name in errors", () => {
    ask(a, parse("s", one), sync());
    const answer = a.send([parse("s", two), sync()]);
    expect(answer.toString("latin1")).toContain('prepared statement "s" already exists');
    expect(answer.toString("latin1")).not.toContain("pglite_socket");
  });
});

describe("the unnamed statement", () => {
  test("stays this client's whatever the others parse or query", () => {
    ask(a, parse("", one), sync());
    ask(b, parse("", two), sync());
    expect(run(a, "")).toBe("2 one SELECT 1 ZI");
    expect(run(b, "")).toBe("2 two SELECT 1 ZI");
    ask(b, query(three));
    expect(run(a, "")).toBe("2 one SELECT 1 ZI");
    expect(run(b, "")).toBe("26000 ZI");
  });

  test("of another client is not taken for this one's", () => {
    ask(a, parse("", one), sync());
    expect(run(b, "")).toBe("26000 ZI");
    expect(ask(b, describeMessage("S", ""), sync())).toBe("26000 ZI");
    expect(ask(b, close("S", ""), sync())).toBe("3 ZI");
    expect(run(a, "")).toBe("2 one SELECT 1 ZI");
  });

  test("is dropped by a Parse that fails and by a Query, and kept by what is skipped", () => {
    ask(a, parse("", one), sync());
    expect(ask(a, bind("", "nope"), parse("", two), query(three), close("S", ""), sync())).toBe("26000 ZI");
    expect(run(a, "")).toBe("2 one SELECT 1 ZI");
    expect(ask(a, parse("", "selec"), sync())).toBe("42601 ZI");
    expect(run(a, "")).toBe("26000 ZI");
  });
});

describe("a pipeline", () => {
  test("is open from its first message to its Sync, and while it is skipped", () => {
    const open = (...messages: Buffer[]): boolean => {
      a.send(messages);
      return a.conversation.pipelineOpen;
    };
    expect(a.conversation.pipelineOpen).toBe(false);
    for (const begin of [parse("", one), bind("", ""), describeMessage("S", ""), close("S", "x"), execute("")]) {
      expect(open(begin)).toBe(true);
      expect(open(sync())).toBe(false);
    }
    expect(open(parse("", "selec"), flush())).toBe(true);
    expect(open(query(one))).toBe(true);
    expect(open(sync(), parse("", one))).toBe(true);
    expect(open(sync())).toBe(false);
    expect(open(flush())).toBe(false);
    expect(open(query("selec"))).toBe(false);
  });

  test("that was skipped ends at its Sync: what comes behind it in the same batch runs", () => {
    expect(ask(a, parse("", "selec"))).toBe("42601");
    expect(ask(a, parse("", one), sync(), parse("", two), bind("", ""), execute(""), sync())).toBe(
      "ZI 1 2 two SELECT 1 ZI",
    );
  });

  test("that failed takes back what it did with names behind the error", () => {
    ask(a, parse("s", one), parse("t", two), sync());
    const messages = [bind("", "nope"), close("S", "s"), parse("u", three), query("deallocate t"), sync()];
    expect(ask(a, ...messages)).toBe("26000 ZI");
    expect([run(a, "s"), run(a, "t"), run(a, "u")]).toEqual(["2 one SELECT 1 ZI", "2 two SELECT 1 ZI", "26000 ZI"]);
  });

  test("that failed takes back the same name several times, in the right order", () => {
    ask(a, parse("s", one), sync());
    const messages = [bind("", "nope"), close("S", "s"), parse("s", two), close("S", "s"), parse("s", three), sync()];
    expect(ask(a, ...messages)).toBe("26000 ZI");
    expect(run(a, "s")).toBe("2 one SELECT 1 ZI");
  });

  test("keeps what it did with names before the error", () => {
    ask(a, parse("s", one), sync());
    const messages = [close("S", "s"), parse("s", two), parse("t", three), bind("", "nope"), parse("u", one), sync()];
    expect(ask(a, ...messages)).toBe("3 1 1 26000 ZI");
    expect([run(a, "s"), run(a, "t"), run(a, "u")]).toEqual(["2 two SELECT 1 ZI", "2 three SELECT 1 ZI", "26000 ZI"]);
  });
});

test("the status is that of the last ReadyForQuery", () => {
  const after = (...messages: Buffer[]): string => {
    a.send(messages);
    return a.conversation.replies.status;
  };
  expect(a.conversation.replies.status).toBe("I");
  expect(after(query("begin"))).toBe("T");
  expect(after(parse("", "selec"))).toBe("T");
  expect(after(sync())).toBe("E");
  expect(b.conversation.replies.status).toBe("I");
  expect(after(query("rollback"))).toBe("I");
});

describe("a Parse that is answered without the engine", () => {
  test("is parsed with its first use", () => {
    ask(b, query("begin"));
    expect(short(a.defer([parse("s", one), parse("", two), sync()])!)).toBe("1 1 ZI");
    ask(b, query("commit"));
    expect(run(a, "s")).toBe("2 one SELECT 1 ZI");
    expect(run(a, "")).toBe("2 two SELECT 1 ZI");
  });

  test("is alone with its Sync, outside of a transaction and a pipeline, and under a new name", () => {
    ask(a, parse("s", one), sync());
    for (const messages of [
      [parse("s", two), sync()],
      [parse("t", two)],
      [parse("t", two), bind("", "t"), sync()],
      [parse("t", two), sync(), sync()],
      [query(one)],
    ]) {
      expect(a.defer(messages)).toBeUndefined();
    }
    ask(a, query("begin"));
    expect(a.defer([parse("t", two), sync()])).toBeUndefined();
  });
});

/** The arguments of `plan` for some messages. */
function planned(messages: Buffer[]): [frames: { type: number; bytes: Buffer }[], whole: Buffer] {
  return [messages.map((bytes) => ({ type: bytes[0]!, bytes })), Buffer.concat(messages)];
}
