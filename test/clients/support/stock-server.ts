/**
 * A process that serves the stock library over a fresh PGlite in memory, for tests that must see it fail.
 *
 * Owns: starting it and its ready line. It ends on a signal, and when its parent is gone. The argument is the file of an empty
 * database cluster, as `engines.ts` keeps it for a run.
 */
import { readFileSync } from "node:fs";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "pglite-socket-stock";

process.stdin.on("end", () => process.exit(0)).resume();
const db = await PGlite.create({ loadDataDir: new File([readFileSync(process.argv[2]!)], "cluster.tar") });
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1", maxConnections: 100 });
await server.start();
const port = Number(server.getServerConn().split(":").at(-1));
process.stdout.write(`${JSON.stringify({ url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, port })}\n`);
