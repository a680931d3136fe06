/**
 * Random conversations over one shared session against a session for each: nobody can tell the difference.
 *
 * Owns: the comparison. The rules are those of `model-backend.ts`, which a protocol test holds against the engine.
 */
import { expect, test } from "vitest";
import { readErrorFields } from "../../../src/wire/query-results.ts";
import { ModelBackend, modelSql } from "../../support/model-backend.ts";
import { randomBatch } from "../../support/model-script.ts";
import { Random, runSeed } from "../../support/random.ts";
import { type ModelClient, SharedModel } from "../../support/shared-model.ts";
import { message } from "../../support/wire-client.ts";

const scripts = 400;
const batchesPerScript = 30;

/** A client of the shared session, and the session of its own that says what is right. */
interface Pair {
  readonly name: string;
  readonly shared: ModelClient;
  readonly own: ModelBackend;
  readonly answers: Buffer[];
}

const readable = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1").replaceAll("\0", "·");

function lines(answer: Buffer): string {
  const found: string[] = [];
  for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    const type = String.fromCharCode(answer[at]!);
    const body = answer.subarray(at + 5, at + 1 + answer.readInt32BE(at + 1));
    const error = type === "E" ? readErrorFields(body) : undefined;
    found.push(error ? `E ${error.get("C")} ${error.get("M")}` : `${type} ${readable(body)}`);
  }
  return found.join("\n");
}

/** Who may send: whoever holds the session, or anybody. */
function nextPair(pairs: readonly Pair[], random: Random): Pair {
  const holder = pairs.find(
    ({ shared }) => shared.conversation.pipelineOpen || shared.conversation.replies.status !== "I",
  );
  return holder ?? random.of(pairs);
}

/** While somebody holds the session, the others may have a Parse answered. */
function tryToDefer(pairs: readonly Pair[], random: Random, story: string[]): boolean {
  const holder = pairs.find(
    ({ shared }) => shared.conversation.replies.status === "T" && !shared.conversation.pipelineOpen,
  );
  const other = random.of(pairs);
  if (!holder || other === holder) return false;
  // The statement has to be a good one: the answer is given before the engine sees it.
  const messages = [message.parse(random.of(["", "s1", "s2"]), random.of(modelSql.rows)), message.sync()];
  const answer = other.shared.defer(messages);
  if (!answer) return false;
  story.push(`${other.name} (deferred): ${messages.map(readable).join(" ")}`);
  other.own.run(Buffer.concat(messages));
  expect(lines(answer), story.join("\n")).toBe(lines(Buffer.concat(other.answers.splice(0))));
  return true;
}

test(`clients of one session get the answers of a session of their own (SEED=${runSeed})`, () => {
  const random = new Random(runSeed);
  let switches = 0;
  let deferred = 0;
  let limited = 0;
  for (let script = 0; script < scripts; script++) {
    const model = new SharedModel(random);
    const pairs = ["A", "B", "C"].slice(0, 2 + random.below(2)).map((name): Pair => {
      const answers: Buffer[] = [];
      return { name, shared: model.client(), own: new ModelBackend((answer) => answers.push(answer)), answers };
    });
    const story: string[] = [`script ${script}`];
    let last: Pair | undefined;
    for (let batch = 0; batch < batchesPerScript; batch++) {
      if (random.oneIn(4) && tryToDefer(pairs, random, story)) deferred++;
      const pair = nextPair(pairs, random);
      const messages = randomBatch(random, "anywhere");
      story.push(`${pair.name}: ${messages.map(readable).join(" ")}`);
      pair.own.run(Buffer.concat(messages));
      const expected = lines(Buffer.concat(pair.answers.splice(0)));
      const failed = pair.shared.conversation.replies.status === "E" || expected.includes("Z E");
      const answer = lines(pair.shared.send(messages));
      // The documented limit: in a failed transaction nothing can be parsed again, so a statement that another client
      // displaced gives 25P02 where PostgreSQL would say something else. What follows differs, too.
      if (answer !== expected && failed && answer.includes("E 25P02")) {
        limited++;
        break;
      }
      expect(answer, story.join("\n")).toBe(expected);
      if (last && last !== pair) switches++;
      last = pair;
    }
  }
  // What the test is about has to have happened.
  expect(switches).toBeGreaterThan(scripts);
  expect(deferred).toBeGreaterThan(0);
  expect(limited).toBeLessThan(scripts / 20);
});

test("a skipped Close of another client's unnamed statement does not bring it back behind a Query that dropped it", () => {
  const model = new SharedModel(new Random(1));
  const [a, b] = [model.client(), model.client()];
  const [two] = modelSql.rows;
  a.send([message.parse("", two!), message.sync()]);
  // The error has the rest of its pipeline skipped, and with it what makes room for B's own unnamed statement.
  b.send([message.describe("S", "s2"), message.describe("S", ""), message.sync(), message.query(two!)]);
  const answer = lines(a.send([message.bind("", ""), message.execute(""), message.sync()]));
  expect(answer).not.toContain("26000");
  expect(answer).toContain("SELECT 1");
});
