/**
 * The death of an engine, for tests of what follows.
 *
 * Mocked: no SQL is known that breaks this engine. Its thread is told to fail. To be imported before the engine is booted.
 */
import { EngineThread } from "../../src/engine/engine-thread.ts";
import { EngineWorker } from "../../src/engine/engine-worker.ts";
import type { ProductServer } from "./product-server.ts";
import { errorFields, message } from "./wire-client.ts";

let thread: EngineThread | EngineWorker;
for (const kind of [EngineThread, EngineWorker]) {
  const { boot } = kind as { boot(...parameters: unknown[]): Promise<EngineThread | EngineWorker> };
  Object.assign(kind, {
    boot: async (...parameters: unknown[]) => {
      thread = await boot.apply(kind, parameters);
      return thread;
    },
  });
}

/** Has the engine die while a statement runs, and resolves when its client has been told. */
export async function killEngine(
  server: ProductServer,
  before = "select 1",
  meanwhile = () => {},
): Promise<ReadonlyMap<string, string>> {
  const { client, processId } = await server.loginWithKey();
  await client.query(before);
  client.send(message.query("do $$begin loop end loop; end$$"));
  await server.running(processId);
  meanwhile();
  void thread.fail(new Error("it was told to"));
  return errorFields(await client.untilEnd())!;
}
