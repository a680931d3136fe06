/**
 * A run: plays side by side against one server, until one fails; that one is then shrunk, alone on a server of its own.
 *
 * Owns: which plays run where, when the server is looked at, what a failure is. Does not own: a play (`play.ts`), doing it
 * (`performance.ts`), seeing that it is stuck (`watch.ts`).
 * Invariant: the same seed and number of lanes give the same plays; no server outlives the run.
 */
import fc from "fast-check";
import { FlowServer } from "./flow-server.ts";
import type { FlowOptions } from "./options.ts";
import { performPart } from "./performance.ts";
import { describePlay, type Play, plays } from "./play.ts";
import { Talker } from "./talker.ts";

/** A play that failed. */
export interface FlowFailure {
  readonly lane: number;
  readonly message: string;
  readonly play: readonly string[];
  /** The smallest play that fails alone on a fresh server; undefined if it does not fail there. */
  readonly shrunk: { readonly play: readonly string[]; readonly message: string; readonly tries: number } | undefined;
}

/** What a run found. */
export interface FlowResult {
  readonly plays: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly failure: FlowFailure | undefined;
}

/** Between two looks at what the server holds, plays of all lanes. */
const playsPerInspection = 2500;
const shrinkMs = 60_000;

/** The clients that stay connected from one play to the next. */
class Lane {
  readonly number: number;
  readonly #server: FlowServer;
  readonly #talkers: (Talker | undefined)[] = [];
  bytes = 0;

  constructor(number: number, server: FlowServer) {
    this.number = number;
    this.#server = server;
  }

  get connected(): number {
    return this.#talkers.filter((talker) => talker !== undefined).length;
  }

  /** Does a play. Rejects with what went wrong first, and how its ends are then. */
  async perform({ parts }: Play): Promise<void> {
    const { endpoint, watch } = this.#server;
    const talkers = parts.map((_, at) => {
      this.#talkers[at] ??= new Talker(endpoint, (this.number + at) % 2 === 0);
      return this.#talkers[at];
    });
    const end = watch.begin(talkers);
    const before = talkers.map(({ sent, received }) => sent + received);
    try {
      await Promise.all(
        parts.map(async (part, at) => {
          const stays = await performPart(part, talkers[at]!);
          if (!stays) this.#talkers[at] = undefined;
        }),
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.#picture(talkers)}`);
    } finally {
      end();
      this.bytes += talkers.reduce((sum, { sent, received }, at) => sum + sent + received - before[at]!, 0);
    }
  }

  /** Whoever is connected goes. */
  drop(): void {
    for (const talker of this.#talkers.splice(0)) talker?.destroy();
  }

  async #picture(talkers: readonly Talker[]): Promise<string> {
    const { connections } = await this.#server.stats();
    return [
      ...talkers.map((talker, at) => `  client ${at}: ${talker.describe()}`),
      ...connections.map(
        ({ processId, state, statement, forMs }) =>
          `  server: ${processId} ${state} for ${forMs} ms: ${statement.slice(0, 60)}`,
      ),
      `  server's standard error: ${this.#server.errors || "nothing"}`,
    ].join("\n");
  }
}

/** Runs. Rejects only if no server can be started. */
export async function runFlow(options: FlowOptions, progress: (line: string) => void): Promise<FlowResult> {
  const { seed, program, lanes: count, largeInThousand } = options;
  const server = await FlowServer.start(program);
  const began = performance.now();
  const lanes = Array.from({ length: count }, (_, number) => new Lane(number, server));
  const arbitrary = plays(largeInThousand);
  let done = 0;
  let running = 0;
  let isOver = false;
  let inspecting: Promise<void> | undefined;
  let whenQuiet = () => {};

  const inspect = async (): Promise<void> => {
    if (running > 0) await new Promise<void>((resolve) => (whenQuiet = resolve));
    if (isOver) return;
    const problem = await server.inspect(lanes.reduce((sum, { connected }) => sum + connected, 0));
    progress(`${done} plays, ${Math.round(done / ((performance.now() - began) / 1000))} a second`);
    if (problem !== undefined) throw new Error(problem);
  };
  const enter = async (): Promise<void> => {
    await server.watch.gate();
    while (inspecting) await inspecting;
    running++;
  };
  const leave = (): void => {
    running--;
    done++;
    if (done % playsPerInspection === 0 && !isOver) {
      inspecting = inspect().finally(() => {
        inspecting = undefined;
      });
      inspecting.catch(() => {});
    }
    if (running === 0) whenQuiet();
  };
  const runLane = async (lane: Lane): Promise<FlowFailure | undefined> => {
    const property = fc.asyncProperty(arbitrary, async (play) => {
      if (isOver) return;
      await enter();
      try {
        await lane.perform(play);
      } finally {
        leave();
      }
    });
    const numRuns = Math.ceil(options.plays / count);
    const details = await fc.check(property, { seed: seed + lane.number, numRuns, endOnFailure: true });
    if (!details.failed || isOver) return undefined;
    isOver = true;
    const message = (details.errorInstance as Error).message;
    const { counterexamplePath: path, counterexample } = details;
    lane.drop();
    progress([`lane ${lane.number} failed: ${message}`, ...describePlay(counterexample![0])].join("\n"));
    const shrunk = await shrink(options, arbitrary, seed + lane.number, path!, progress);
    return { lane: lane.number, message, play: describePlay(counterexample![0]), shrunk };
  };

  try {
    const failures = await Promise.all(lanes.map(runLane));
    const failure = failures.find((one) => one !== undefined) ?? (await atTheEnd(inspect));
    const seconds = (performance.now() - began) / 1000;
    return { plays: done, seconds, bytes: lanes.reduce((sum, { bytes }) => sum + bytes, 0), failure };
  } finally {
    for (const lane of lanes) lane.drop();
    await server.end();
  }
}

async function atTheEnd(inspect: () => Promise<void>): Promise<FlowFailure | undefined> {
  try {
    await inspect();
    return undefined;
  } catch (error) {
    return { lane: -1, message: (error as Error).message, play: ["found between plays"], shrunk: undefined };
  }
}

async function shrink(
  { program }: FlowOptions,
  arbitrary: fc.Arbitrary<Play>,
  seed: number,
  path: string,
  progress: (line: string) => void,
): Promise<FlowFailure["shrunk"]> {
  let server: FlowServer | undefined;
  let tries = 0;
  const property = fc.asyncProperty(arbitrary, async (play) => {
    tries++;
    server ??= await FlowServer.start(program);
    const current = server;
    const lane = new Lane(0, current);
    try {
      await lane.perform(play);
      const problem = await current.inspect(lane.connected);
      if (problem !== undefined) throw new Error(problem);
      lane.drop();
    } catch (error) {
      // It may be good for nothing any more.
      server = undefined;
      await current.end();
      throw error;
    }
  });
  progress("it is shrunk alone on a fresh server");
  const details = await fc.check(property, { seed, path, numRuns: 1, interruptAfterTimeLimit: shrinkMs });
  await server?.end();
  if (!details.failed || !details.counterexample) return undefined;
  const message = (details.errorInstance as Error | null)?.message ?? "the time for shrinking was over";
  return { play: describePlay(details.counterexample[0]), message, tries };
}
