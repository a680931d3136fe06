/**
 * A server in a process of its own, for `startServerProcess`: a database in memory behind the patched library.
 *
 * Owns: nothing but the wiring. The options come as JSON in the first argument, the file of an empty
 * cluster in the second; the port goes to the parent.
 */
import { readFileSync } from "node:fs";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer, type PGLiteSocketServerOptions } from "@electric-sql/pglite-socket";

const options = JSON.parse(process.argv[2]!) as Omit<PGLiteSocketServerOptions, "db">;
const db = await PGlite.create({ loadDataDir: new File([readFileSync(process.argv[3]!)], "cluster.tar") });
const server = new PGLiteSocketServer({ ...options, port: 0, db });
await server.start();
process.on("disconnect", () => process.exit());
process.send!({ port: server.port });
