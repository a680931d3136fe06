/**
 * A CancelRequest for a COPY … FROM STDIN that has hardly begun: its answer stays in order.
 *
 * Owns: the moment between the COPY and its CopyInResponse, while the engine is asked for the table; it is held there. Does not own:
 * cancels at other moments (`cancel.test.ts`, `npm run flow`).
 */
import { expect, test } from "vitest";
import { createEngine } from "../support/engines.ts";
import { outline } from "../support/product-server.ts";
import { sharedServer } from "../support/shared-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { WatchedEngine } from "../support/watched-engine.ts";
import { message, rows, WireClient } from "../support/wire-client.ts";

test("its data is behind it already: CopyInResponse, then the error, then ReadyForQuery", async () => {
  const pglite = await createEngine();
  await pglite.exec("create table copied (n int)");
  const engine = new WatchedEngine(pglite);
  const server = sharedServer({ db: engine, port: 0 });
  await server.start();
  const client = await WireClient.connect(server);
  try {
    client.send(message.startup({ user: "postgres", database: "postgres" }));
    const key = (await client.until("Z")).find(({ type }) => type === "K")!.body;
    const release = await engine.hold();
    client.send(message.query("copy copied from stdin"));
    await waitUntil("the engine is asked for the table", () => engine.waiting === 1);
    client.send(message.copyData("1\n"), message.copyDone());
    await waitUntil("its data waits", () => server.getStats().queuedQueries === 1);
    const canceller = await WireClient.connect(server);
    canceller.send(message.cancelRequest(key.readInt32BE(0), key.subarray(4)));
    await canceller.untilEnd();
    release();
    expect(outline(await client.until("Z")).replaceAll("S", "")).toBe("GE(57014)ZI");
    expect(rows(await client.query("select count(*) from copied"))).toEqual([["0"]]);
  } finally {
    client.destroy();
    await server.stop();
    await pglite.close();
  }
});
