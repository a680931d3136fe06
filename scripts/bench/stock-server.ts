/**
 * The server process of the target `stock`: the unpatched library over a fresh PGlite in memory.
 *
 * Owns: starting it, the ready line, ending it. Does not own: anything that the library does.
 */
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "pglite-socket-stock";
import { serveUntilTold } from "./serve-until-told.ts";

const db = await PGlite.create();
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1", maxConnections: 100 });
await server.start();
serveUntilTold(Number(server.getServerConn().split(":").at(-1)));
