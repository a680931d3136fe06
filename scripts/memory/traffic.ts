/**
 * Gigabytes through one connection: a result to a slow reader, COPY in both directions.
 *
 * Owns: sending and reading them without keeping them. Does not own: the server, or what is measured meanwhile.
 * Invariant: nothing is sent faster than the server reads it, so that no memory but the server's can fill.
 */
import { once } from "node:events";
import { errorFields, message, WireClient } from "../../test/support/wire-client.ts";

/** What can be sent through. */
export const transfers = ["a result to a slow reader", "COPY TO STDOUT to a slow reader", "COPY FROM STDIN"] as const;
/** One of them. */
export type Transfer = (typeof transfers)[number];

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const rowBytes = 10_000;
/** How a slow reader reads: so much, then nothing for a while. */
const mouthful = { bytes: 8 << 20, pauseMs: 10 };
const partBytes = 1 << 16;

/** Does it with so many megabytes. `keeps`: whether the rows of COPY FROM STDIN are kept in a table, or only looked at. */
export async function transfer(what: Transfer, endpoint: Endpoint, megabytes: number, keeps: boolean): Promise<void> {
  const client = await WireClient.login(endpoint);
  const select = `select repeat('x', ${rowBytes}) from generate_series(1, ${megabytes * 100})`;
  if (what === "COPY FROM STDIN") await copyIn(client, megabytes, keeps);
  else await readSlowly(client, what === "COPY TO STDOUT to a slow reader" ? `copy (${select}) to stdout` : select);
  await client.end();
}

async function readSlowly(client: WireClient, sql: string): Promise<void> {
  const { socket } = client;
  socket.removeAllListeners("data");
  client.send(message.query(sql));
  let left = mouthful.bytes;
  let tail = Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    socket.once("close", () => reject(new Error("the connection ended in the middle of the result")));
    socket.on("data", (chunk: Buffer) => {
      tail = Buffer.concat([tail.subarray(-6), chunk.subarray(-6)]).subarray(-6);
      if (tail.equals(readyForQuery)) return resolve();
      left -= chunk.length;
      if (left > 0) return;
      left = mouthful.bytes;
      socket.pause();
      setTimeout(() => socket.resume(), mouthful.pauseMs);
    });
  });
}

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

async function copyIn(client: WireClient, megabytes: number, keeps: boolean): Promise<void> {
  await client.query("create table if not exists copied (a int, b text)");
  client.send(message.query(`copy copied from stdin${keeps ? "" : " where a < 0"}`));
  await client.until("G");
  const row = `1\t${"y".repeat(995)}\n`;
  const part = message.copyData(row.repeat(Math.floor(partBytes / row.length)));
  for (let sent = 0; sent < megabytes * 1_000_000; sent += part.length) {
    if (!client.socket.write(part)) await once(client.socket, "drain");
  }
  client.send(message.copyDone());
  const failure = errorFields(await client.until("Z"));
  if (failure) throw new Error(`COPY FROM STDIN: ${failure.get("M")}`);
}
