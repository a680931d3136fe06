/**
 * The model of a session against the engine: what the random test of the shared session relies on.
 *
 * Owns: the comparison. Invariant: without the socket library, so that the two can only differ in the model.
 */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readErrorFields } from "../../src/wire/query-results.ts";
import { createEngine } from "../support/engines.ts";
import { ModelBackend } from "../support/model-backend.ts";
import { randomBatch } from "../support/model-script.ts";
import { Random, runSeed } from "../support/random.ts";
import { message } from "../support/wire-client.ts";

let engine: PGlite;
beforeAll(async () => {
  engine = await createEngine();
});
afterAll(() => engine.close());

async function ask(bytes: Uint8Array): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await engine.runExclusive(() =>
    engine.execProtocolRawStream(bytes, { onRawData: (data) => void chunks.push(data.slice()) }),
  );
  return Buffer.concat(chunks);
}

const text = (bytes: Buffer): string => bytes.toString("latin1").replaceAll("\0", "·");

/** What both must agree on, message by message. */
function summary(answer: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    const type = String.fromCharCode(answer[at]!);
    const body = answer.subarray(at + 5, at + 1 + answer.readInt32BE(at + 1));
    if (type === "E") lines.push(`E ${readErrorFields(body).get("C")} ${readErrorFields(body).get("M")}`);
    else if ("CDZ".includes(type)) lines.push(`${type} ${text(body)}`);
    // The engine repeats its ParameterStatus after an error.
    else if (type !== "N" && type !== "S") lines.push(type);
  }
  return lines;
}

const scripts = Number(process.env.NS ?? 60);
const batchesPerScript = 12;

test(`the model answers random conversations as the engine does (SEED=${runSeed})`, async () => {
  const random = new Random(runSeed);
  const sent: Buffer[] = [];
  let batches = 0;
  for (let script = 0; script < scripts; script++) {
    const answers: Buffer[] = [];
    const model = new ModelBackend((answer) => answers.push(answer));
    sent.length = 0;
    await ask(Buffer.concat([message.sync(), message.query("rollback"), message.query("discard all")]));
    for (let batch = 0; batch < batchesPerScript; batch++) {
      const messages = randomBatch(random, "alone");
      sent.push(...messages);
      model.run(Buffer.concat(messages));
      const expected = summary(Buffer.concat(answers.splice(0)));
      const story = sent.map((bytes) => text(bytes)).join("\n");
      const got = summary(await ask(Buffer.concat(messages)));
      expect(got.join("\n"), `script ${script}:\n${story}`).toBe(expected.join("\n"));
      batches++;
    }
  }
  expect(batches).toBe(scripts * batchesPerScript);
});
