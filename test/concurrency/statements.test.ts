/**
 * Prepared statements of the same name in several connections.
 *
 * Owns: that a name belongs to its connection, whatever the others prepare, close or discard.
 * Does not own: the unnamed statement. Invariant: every case uses names of its own, so that none meets another's.
 */
import { expect, it } from "vitest";
import { caseServer } from "../support/case-server.ts";
import { closeStatement, execute, prepare } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { errorFields, message, type WireClient } from "../support/wire-client.ts";

describeTargets("named statements on %s", (target) => {
  const server = caseServer(target, { sharesStockEngine: true });

  it("two clients prepare different texts under one name and each runs its own", async () => {
    const [a, b] = await server.clients("a", "b");
    const seen = [
      await server.ask(a, ...prepare("s1", "select 'of a'")),
      await server.ask(b, ...prepare("s1", "select 'of b', $1::int")),
      await server.ask(a, ...execute("s1")),
      await server.ask(b, ...execute("s1", ["7"])),
    ];
    // The stock library refuses the second, and then finds the first one's statement with too few parameters.
    expect(seen).toEqual({ ours: ["", "", "of a", "of b|7"], stock: ["", "42P05", "of a", "08P01"] }[target]);
  });

  it("a client that does not look at errors never gets the rows of another client's statement", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("mine", "select 'of a'"));
    expect(await server.ask(b, ...execute("mine"))).toBe({ ours: "26000", stock: "of a" }[target]);
  });

  it("a name is taken only in the connection that prepared it", async () => {
    const [a, b] = await server.clients("a", "b");
    const seen = [
      await server.ask(a, ...prepare("taken", "select 'of a'")),
      await server.ask(a, ...prepare("taken", "select 'again'")),
      await server.ask(b, ...prepare("taken", "select 'of b'")),
      await server.ask(b, ...prepare("taken", "select 'again'")),
      await server.ask(a, ...execute("taken")),
      await server.ask(b, ...execute("taken")),
    ];
    expect(seen).toEqual(
      {
        ours: ["", "42P05", "", "42P05", "of a", "of b"],
        stock: ["", "42P05", "42P05", "42P05", "of a", "of a"],
      }[target],
    );
  });

  it("Close takes away a client's own statement and frees the name, and leaves the other client's", async () => {
    const [a, b] = await server.clients("a", "b");
    const seen = [
      await server.ask(a, ...prepare("closed", "select 'of a'")),
      await server.ask(b, ...prepare("closed", "select 'of b'")),
      await server.ask(b, ...closeStatement("closed")),
      await server.ask(b, ...execute("closed")),
      await server.ask(a, ...execute("closed")),
      await server.ask(b, ...prepare("closed", "select 'new of b'")),
      await server.ask(b, ...execute("closed")),
    ];
    expect(seen).toEqual(
      {
        ours: ["", "", "", "26000", "of a", "", "new of b"],
        stock: ["", "42P05", "", "26000", "26000", "", "new of b"],
      }[target],
    );
  });

  it("errors name a statement with its connection", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("named", "select 'of a'"));
    const seen = [
      await errorMessage(b, execute("named")),
      await server.ask(b, ...prepare("named", "select $1::text, $2::text")),
      await errorMessage(b, execute("named", ["1"])),
      await errorMessage(b, prepare("named", "select 1")),
      await errorMessage(b, [message.describe("S", "never"), message.sync()]),
    ];
    const taken = 'prepared statement "named" already exists';
    const never = 'prepared statement "never" does not exist';
    expect(seen).toEqual(
      {
        ours: [
          expect.stringMatching(/^prepared statement "\d+\/named" does not exist$/),
          "",
          expect.stringMatching(/^bind message supplies 1 parameters, but prepared statement "\d+\/named" requires 2$/),
          expect.stringMatching(/^prepared statement "\d+\/named" already exists$/),
          expect.stringMatching(/^prepared statement "\d+\/never" does not exist$/),
        ],
        // The first one runs the statement of the other client.
        stock: [
          undefined,
          "42P05",
          'bind message supplies 1 parameters, but prepared statement "named" requires 0',
          taken,
          never,
        ],
      }[target],
    );
  });

  it("statements of connections that are gone leave their names to later ones", async () => {
    const [gone] = await server.clients("gone");
    await server.ask(gone, ...prepare("inherited", "select 'of the dead'"));
    gone.destroy();
    const [later] = await server.clients("later");
    const seen = [
      await server.ask(later, ...execute("inherited")),
      await server.ask(later, ...prepare("inherited", "select 'of the living'")),
      await server.ask(later, ...execute("inherited")),
    ];
    expect(seen).toEqual(
      {
        ours: ["26000", "", "of the living"],
        stock: ["of the dead", "42P05", "of the dead"],
      }[target],
    );
  });

  it.each([62, 63, 64, 200])(
    "names of %i bytes that differ only at the end are told apart as PostgreSQL does",
    async (length) => {
      const [a, b] = await server.clients("a", "b");
      const nameOf = (last: string) => `${"é".repeat(20)}${"n".repeat(length - 41)}${last}`;
      const [one, other] = [nameOf("1"), nameOf("2")];
      expect(Buffer.byteLength(one)).toBe(length);
      const seen = [
        await server.ask(a, ...prepare(one, "select 'one of a'")),
        await server.ask(a, ...prepare(other, "select 'other of a'")),
        await server.ask(b, ...prepare(one, "select 'one of b'")),
        await server.ask(a, ...execute(one)),
        await server.ask(a, ...execute(other)),
        await server.ask(b, ...execute(one)),
        await server.ask(b, ...execute(other)),
      ];
      // PostgreSQL compares 63 bytes.
      const areTwo = length <= 63;
      expect(seen).toEqual(
        {
          ours: [
            "",
            areTwo ? "" : "42P05",
            "",
            "one of a",
            areTwo ? "other of a" : "one of a",
            "one of b",
            areTwo ? "26000" : "one of b",
          ],
          stock: [
            "",
            areTwo ? "" : "42P05",
            "42P05",
            "one of a",
            areTwo ? "other of a" : "one of a",
            "one of a",
            areTwo ? "other of a" : "one of a",
          ],
        }[target],
      );
      for (const client of [a, b]) for (const name of [one, other]) await server.ask(client, ...closeStatement(name));
    },
  );

  it("six clients that number their statements alike run each their own", async () => {
    const clients = await server.clients("1", "2", "3", "4", "5", "6");
    const wrong: string[] = [];
    await Promise.all(
      clients.map(async (client, index) => {
        for (let turn = 0; turn < 40; turn++) {
          const name = `S_${turn % 8}`;
          const sql = `select ${index}, ${turn % 8}, $1::int`;
          const [first, again] = [
            turn < 8 ? [message.parse(name, sql), message.flush()] : [],
            execute(name, [`${turn}`]),
          ];
          const answer = await server.ask(client, ...first, ...again);
          if (answer !== `${index}|${turn % 8}|${turn}`) wrong.push(answer);
        }
      }),
    );
    if (target === "ours") expect(wrong).toEqual([]);
    else
      expect(
        wrong.filter((answer) => answer.includes("|")),
        "wrong rows without an error",
      ).not.toEqual([]);
  });
});

describeTargets("a DEALLOCATE ALL in SQL on %s", (target) => {
  const server = caseServer(target, { sharesStockEngine: true });

  it("is everybody's: all share the session", async () => {
    const [a, b] = await server.clients("a", "b");
    await server.ask(a, ...prepare("kept", "select 'of a'"));
    expect(await server.ask(b, message.query("deallocate all"))).toBe("DEALLOCATE ALL");
    expect(await server.ask(a, ...execute("kept"))).toBe("26000");
  });
});

async function errorMessage(client: WireClient, messages: Uint8Array[]): Promise<string | undefined> {
  client.send(...messages);
  return errorFields(await client.until("Z"))?.get("M");
}
