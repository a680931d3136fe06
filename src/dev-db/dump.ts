/**
 * A dump of a database as SQL, by PostgreSQL's own pg_dump.
 *
 * Owns: pg_dump's thread, and the connection that it talks through. Does not own: what is in the dump, which is pg_dump's matter.
 * Invariant: neither the thread nor the connection outlives the call.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { executeSql } from "../engine/execute-sql.ts";
import { ExitCode } from "../errors.ts";
import type { Progress } from "../options.ts";
import { encodeMessage } from "../wire/frontend.ts";
import type { DumpThreadData } from "./dump-thread.ts";
import { ServerClient } from "./server-client.ts";

/** Rows for one INSERT: fewer statements are read sooner. */
const rowsPerInsert = 500;
/** AuthenticationOk, the version that pg_dump compares with its own, ReadyForQuery. */
const loggedIn = (version: string) =>
  Buffer.concat([
    encodeMessage("R", Buffer.alloc(4)),
    encodeMessage("S", "server_version", version),
    encodeMessage("S", "client_encoding", "UTF8"),
    encodeMessage("S", "standard_conforming_strings", "on"),
    encodeMessage("Z", Buffer.from("I")),
  ]);

/** What pg_dump has ended with, in its own words. */
class PgDumpError extends Error {
  override readonly name = "PgDumpError";
  readonly exitCode = ExitCode.failure;
  constructor(cause: Error) {
    const said = cause.message.replace(/^.*\n?Error message: (invalid binary "[^"]*": No such file or directory)?/, "");
    // It says no more than its lines, one behind the other.
    const lines = said.replaceAll(/(\S*\/)?dump-thread\.js: /g, "\n  ").replaceAll("dump-thread.js", "pg_dump");
    super(`pg_dump: ${lines.trim()}`, { cause });
  }
}

/** Resolves with the SQL; `progress` is told how much has been read. Rejects with what pg_dump says, or with the server's error. */
export async function dumpDatabase(url: string, options: readonly string[], progress: Progress): Promise<string> {
  const client = await ServerClient.connect(url);
  const { port1: ours, port2: port } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const workerData: DumpThreadData = { arguments: [`--rows-per-insert=${rowsPerInsert}`, ...options], port, answered };
  const thread = new Worker(new URL("dump-thread.js", import.meta.url), {
    workerData,
    transferList: [port],
    stdin: true,
  });
  let read = 0;
  try {
    return await new Promise<string>((resolve, reject) => {
      const answer = async (batch: Uint8Array) => {
        const bytes = batch.length === 0 ? loggedIn(await versionOf(client)) : await exchange(client, batch);
        read += bytes.length;
        progress(`pg_dump has read ${(read / 1e6).toFixed(1)} MB`);
        ours.postMessage(bytes);
        Atomics.store(answered, 0, 1);
        Atomics.notify(answered, 0);
      };
      const take = (message: Uint8Array | string | Error) => {
        if (typeof message === "string") resolve(message);
        else if (message instanceof Error) reject(new PgDumpError(message));
        else answer(message).catch(reject);
      };
      ours.on("message", take);
      thread.once("error", reject);
      thread.once("exit", (code) => {
        // The end may be known before the last words are read.
        for (let last = receiveMessageOnPort(ours); last; last = receiveMessageOnPort(ours)) take(last.message);
        reject(new Error(`pg_dump ended with ${code}`));
      });
    });
  } finally {
    client.close();
    ours.close();
    await thread.terminate();
  }
}

async function exchange(client: ServerClient, batch: Uint8Array): Promise<Uint8Array> {
  const answer: Uint8Array[] = [];
  await client.execProtocolRawStream(batch, { onRawData: (bytes) => void answer.push(bytes) });
  return Buffer.concat(answer);
}

async function versionOf(client: ServerClient): Promise<string> {
  const [result] = await executeSql(client, "SHOW server_version");
  return result!.rows[0]![0]!;
}
