/** An engine in a process of its own, which has V8's flags for itself: its stack, in MB, is the first argument; the port goes to the parent. */
import { openEngine } from "../../src/engine/kept-engine.ts";

const engine = await openEngine({
  dataDir: "memory://",
  extensions: [],
  maxSessions: 10,
  stackSizeMb: Number(process.argv[2]),
  slowStartMs: 600_000,
  deafAfterMs: 600_000,
  log: () => {},
});
const timeouts = { idleTimeoutMs: 0, stallTimeoutMs: 600_000, transactionIdleTimeoutMs: 600_000 };
const { port } = await engine.listen({ host: "127.0.0.1", port: 0, maxConnections: 10, ...timeouts });
process.on("disconnect", () => process.exit());
process.send!({ port });
