/**
 * The death of an engine, for tests of what follows.
 *
 * Mocked: no SQL is known that breaks this engine. Its thread is told to fail. To be imported before the engine is booted.
 */
import { limits } from "../../src/limits.ts";
import { lastEngineThread } from "./engine-thread.ts";
import type { ProductServer } from "./product-server.ts";
import { errorFields, message } from "./wire-client.ts";

/** What its client has asked for last. */
const last = "do $$begin loop end loop; end$$";

/** Has the engine die while a statement runs, and resolves when its client has been told. */
export async function killEngine(
  server: ProductServer,
  before = "select 1",
  meanwhile = () => {},
): Promise<ReadonlyMap<string, string>> {
  const { client, processId } = await server.loginWithKey();
  await client.query(before);
  if (server.engine.sessions === "isolated") {
    client.send(message.query(last));
    await server.running(processId);
  } else {
    // A thread that computes hears of nothing: its client idles in its transaction, or waits for that of another one.
    const holder = await server.login();
    if (before.startsWith("begin")) holder.send(message.query("select 1"));
    else {
      await holder.query("begin");
      client.send(message.query(last));
    }
  }
  meanwhile();
  // A thread that crashes says so itself, however busy the machine is; one that is told to, as when its directory is lost, is not waited for.
  const { heldMs } = limits;
  Object.assign(limits, { heldMs: 60_000 });
  void lastEngineThread()
    .fail(new Error("it was told to"))
    .finally(() => Object.assign(limits, { heldMs }));
  return errorFields(await client.untilEnd())!;
}
