/**
 * Rewrites PGlite's binary, in a thread that ends afterwards: it takes two seconds and a hundred megabytes.
 *
 * Owns: nothing but the thread. Does not own: the rewrite (`rewrite/postgres.ts`), what becomes of it (`module/module-cache.ts`).
 */
import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { begins } from "../system/separate-beginning.ts";
import { rewriteAndMark } from "./rewrite/marked-postgres.ts";

parentPort!.postMessage(begins);
parentPort!.postMessage(rewriteAndMark(readFileSync(workerData as string)));
