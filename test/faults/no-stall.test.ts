/**
 * Clients that stop for a while where, with a session of their own, they hold up nobody.
 *
 * Owns: what is a stall with isolated sessions: half a message and an unfinished login, and nothing else. Does not own:
 * the one session of all (`timeouts.test.ts`, `../concurrency/stall.test.ts`).
 * Invariant: nobody sleeps here. That the stall timeout has passed is seen by clients that do stall meanwhile: they are ended.
 */
import { describe, expect, test } from "vitest";
import { summary } from "../support/answer.ts";
import { answer, type ServedDb, servedDb, sqlstate } from "../support/dev-db.ts";
import { message } from "../support/wire-client.ts";

const { query, parse, bind, execute, flush, sync, copyData, copyDone } = message;
const stallTimeoutMs = 150;
const options = { sessions: "isolated", stallTimeoutMs } as const;
const schema = "create table t (n int)";

/** Resolves when the stall timeout has passed several times. */
async function longAfterTheTimeout(served: ServedDb): Promise<void> {
  for (let times = 0; times < 4; times++) {
    const staller = await served.login();
    staller.send(query("select 'never'").subarray(0, 9));
    expect(await sqlstate(staller)).toBe("57P05");
  }
}

const select = (what: string) => [parse("", `select ${what}`), bind("", ""), execute("")];

describe("with a session of its own", () => {
  const served = servedDb(options, schema);

  test("a COPY whose producer pauses goes on with all of its data", async () => {
    const client = await served.login();
    client.send(query("copy t from stdin"));
    await client.until("G");
    client.send(copyData("1\n2\n"));
    await longAfterTheTimeout(served);
    client.send(copyData("3\n"), copyDone());
    expect(await answer(client)).toBe("COPY 3");
  });

  test("a COPY of the extended protocol may pause before its first row, too", async () => {
    const client = await served.login();
    client.send(parse("", "copy t from stdin"), bind("", ""), execute(""), flush());
    await client.until("G");
    await longAfterTheTimeout(served);
    client.send(copyData("4\n"), copyDone(), sync());
    expect(await answer(client)).toBe("COPY 1");
  });

  test.each([
    ["Parse", 1, "1"],
    ["Bind", 2, "2"],
    ["Execute", 3, "C"],
  ])("a client that stops after %s and Flush goes on in the same pipeline", async (_, count, reply) => {
    const client = await served.login();
    client.send(...select("'on'").slice(0, count), flush());
    const before = await client.until(reply);
    await longAfterTheTimeout(served);
    client.send(...select("'on'").slice(count), sync());
    expect(summary([...before, ...(await client.until("Z"))])).toBe("on");
  });

  test("a client that stops after an error and before its Sync may still say it", async () => {
    const client = await served.login();
    client.send(...select("1/0"), flush());
    await client.until("E");
    await longAfterTheTimeout(served);
    client.send(sync());
    await client.until("Z");
    client.send(query("select 'again'"));
    expect(await answer(client)).toBe("again");
  });

  test.each([
    ["a Sync", [...select("1"), sync()]],
    ["a Query", [query("select 1")]],
  ])("an idle connection whose last message was a Flush behind %s is left in peace", async (_, messages) => {
    const client = await served.login();
    client.send(...messages, flush());
    await client.until("Z");
    await longAfterTheTimeout(served);
    client.send(query("select 'here'"));
    expect(await answer(client)).toBe("here");
  });

  test("a client that does not read the answers of its open pipeline gets them all when it does", async () => {
    const client = await served.login();
    client.socket.pause();
    client.send(...select("repeat('x', 1000000) from generate_series(1, 30)"), flush());
    await longAfterTheTimeout(served);
    client.socket.resume();
    client.send(sync());
    expect((await client.until("Z")).filter(({ type }) => type === "D")).toHaveLength(30);
  });

  test("half a login is a stall", async () => {
    const client = await served.connect();
    client.send(message.startup({ user: "postgres" }).subarray(0, 9));
    expect(await sqlstate(client)).toBe("08006");
  });
});

describe("with an idle timeout", () => {
  const served = servedDb({ ...options, idleTimeoutMs: stallTimeoutMs }, schema);

  test("a paused COPY and an open pipeline are not idle, a Flush behind a Sync is", async () => {
    const [copier, pipeliner, idler] = [await served.login(), await served.login(), await served.login()];
    copier.send(query("copy t from stdin"));
    pipeliner.send(...select("'on'"), flush());
    await copier.until("G");
    await pipeliner.until("C");
    idler.send(...select("1"), sync(), flush());
    expect(await sqlstate(idler)).toBe("57P05");
    await longAfterTheTimeout(served);
    copier.send(copyData("5\n"), copyDone());
    pipeliner.send(sync());
    expect([await answer(copier), await answer(pipeliner)]).toEqual(["COPY 1", ""]);
  });
});
