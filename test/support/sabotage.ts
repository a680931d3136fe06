/**
 * Breaking the PostgreSQL of an engine with a session for each client.
 *
 * Owns: the extension that does it, and telling it to. Does not own: what it does (`saboteur.mjs`).
 */
import type { FoundExtension } from "../../src/engine/extensions.ts";

/** For the `extensions` of the engine. */
export const saboteur: FoundExtension = {
  name: "saboteur",
  module: new URL("./saboteur.mjs", import.meta.url).href,
};

/** Begins subtransactions for ever. */
export const subtransactions = "do $$begin loop begin perform 1/0; exception when others then end; end loop; end$$";

/** Breaks the engines of this process that have the saboteur, when their threads turn to their event loops next. */
export function sabotage(): void {
  const orders = new BroadcastChannel("saboteur");
  orders.postMessage("now");
  orders.close();
}
