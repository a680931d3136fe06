/**
 * `npm run test:start-stop`: a server is started and ended in every way, again and again, and leaves nothing.
 *
 * @module-tag long
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";

test("twenty starts and ends leave no process, socket, lock or file", async () => {
  const script = join(import.meta.dirname, "../../scripts/start-stop.ts");
  const child = spawn(process.execPath, [script, "--rounds", "20"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const [code] = await once(child, "close");
  expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining(" 0 leftovers") });
});
