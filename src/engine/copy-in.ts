/**
 * COPY … FROM STDIN in the engine's own session, for the process itself.
 *
 * Owns: passing the data to PostgreSQL. Does not own: the data, the COPY (`execute-sql.ts`).
 * Invariant: memory holds one piece of the data; PostgreSQL gets the next piece after it has read the previous one.
 */
import { copyDone, encodeCopyData, encodeQuery } from "../wire/frontend.ts";
import type { Engine } from "./engine.ts";

/** See `Engine.copyIn`. */
export async function copyIn(
  engine: Pick<Engine, "execProtocolRawStream">,
  sql: string,
  data: AsyncIterable<Uint8Array>,
  onRawData: (bytes: Uint8Array) => void,
): Promise<void> {
  let isOver = false;
  const run = (message: Uint8Array) =>
    engine.execProtocolRawStream(message, {
      onRawData: (bytes) => {
        isOver = endsWithReadyForQuery(bytes);
        onRawData(bytes);
      },
    });
  await run(encodeQuery(sql));
  if (isOver) return;
  for await (const piece of data) {
    await run(encodeCopyData(piece));
    if (isOver) return;
  }
  await run(copyDone);
}

const readyLength = 6;

/** ReadyForQuery: the type, the length 5, and the transaction status. */
function endsWithReadyForQuery(bytes: Uint8Array): boolean {
  const [type, ...length] = bytes.subarray(-readyLength);
  return bytes.length >= readyLength && type === 0x5a && length.slice(0, 4).join() === "0,0,0,5";
}
