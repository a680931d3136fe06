/**
 * COPY … FROM STDIN in the engine's own session, for the process itself.
 *
 * Owns: passing the data to PostgreSQL. Does not own: the data, the COPY (`execute-sql.ts`).
 * Invariant: memory holds one piece of the data; PostgreSQL gets the next piece after it has read the previous one.
 */
import { copyDone, encodeCopyData, encodeQuery } from "../wire/frontend.ts";
import { endOfOutput, isReady } from "../wire/ready-for-query.ts";
import type { Engine } from "./engine.ts";

/** See `Engine.copyIn`. */
export async function copyIn(
  engine: Pick<Engine, "execProtocolRawStream">,
  sql: string,
  data: AsyncIterable<Uint8Array>,
  onRawData: (bytes: Uint8Array) => void,
): Promise<void> {
  let end: Uint8Array = new Uint8Array(0);
  const run = (message: Uint8Array) =>
    engine.execProtocolRawStream(message, {
      onRawData: (bytes) => {
        end = endOfOutput(end, bytes);
        onRawData(bytes);
      },
    });
  await run(encodeQuery(sql));
  if (isReady(end)) return;
  for await (const piece of data) {
    await run(encodeCopyData(piece));
    if (isReady(end)) return;
  }
  await run(copyDone);
}
