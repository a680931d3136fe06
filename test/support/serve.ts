/**
 * A server in a process of its own, for `startServerProcess`: a database in memory behind the patched library.
 *
 * Owns: nothing but the wiring. The options come as JSON in the first argument; the port goes to the parent.
 */
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer, type PGLiteSocketServerOptions } from "@electric-sql/pglite-socket";

const options = JSON.parse(process.argv[2]!) as Omit<PGLiteSocketServerOptions, "db">;
const server = new PGLiteSocketServer({ ...options, port: 0, db: await PGlite.create() });
await server.start();
process.on("disconnect", () => process.exit());
process.send!({ port: server.port });
