/** COPY … FROM STDIN in the engine's own session, with an engine that only counts messages. */
import { expect, test } from "vitest";
import { copyIn } from "../../../src/engine/copy-in.ts";

const ready = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x49);
const error = Uint8Array.of(0x45, 0, 0, 0, 4);

test.each([0, 1, 3, 5, 6])("no data is read after ReadyForQuery, also when it is cut after %i bytes", async (cut) => {
  let messages = 0;
  let pieces = 0;
  const engine = {
    execProtocolRawStream: async (_: unknown, { onRawData }: { onRawData: (bytes: Uint8Array) => void }) => {
      messages++;
      onRawData(error);
      onRawData(ready.subarray(0, cut));
      onRawData(ready.subarray(cut));
    },
  };
  async function* data() {
    while (pieces < 3) {
      pieces++;
      yield Uint8Array.of(1);
    }
  }
  await copyIn(engine as never, "copy t from stdin", data(), () => {});
  expect([messages, pieces]).toEqual([1, 0]);
});
