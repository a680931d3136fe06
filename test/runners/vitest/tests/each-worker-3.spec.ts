import { testWorker } from "./each-worker.ts";

testWorker();
