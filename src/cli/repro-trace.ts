/**
 * `pglite-devdb repro --trace FILE`: the first wrong answer of the stock library, kept.
 *
 * Owns: recording the storm on it, and what is said of the file. Does not own: recorder, proxy and shrinking (`trace/`, `trace/shrink.ts`).
 * Invariant: the recording of the storm goes with the command, whatever comes of it; FILE is replaced only by what it is said to have.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ExitCode } from "../errors.ts";
import { inTemporaryDirectory } from "../system/temporary.ts";
import { startProxy } from "../trace/record/proxy.ts";
import { Recorder } from "../trace/record/recorder.ts";
import { createTraceFile } from "../trace/record/trace-file.ts";
import { TraceOutput } from "../trace/record/trace-output.ts";
import type { ReproServer } from "../trace/repro/server-process.ts";
import type { CommandContext } from "./command.ts";
import { shrinkTrace } from "./trace/shrink.ts";
import { FlagValues } from "./trace/subcommand.ts";

const limitBytes = 2 ** 30;

/** A storm that is recorded. */
export class RecordedStorm {
  readonly #context: CommandContext;
  readonly #output: string;
  readonly #directory: string;
  readonly #file: string;

  /** What is left of it goes to `output`. Throws a `UsageError` where that cannot be written. */
  constructor(output: string, context: CommandContext) {
    this.#context = context;
    this.#output = resolve(context.cwd, output);
    new TraceOutput(this.#output, "--trace").end();
    this.#directory = inTemporaryDirectory("--trace", () => mkdtempSync(join(tmpdir(), "pglite-devdb-repro-")));
    this.#file = join(this.#directory, "storm.trace");
  }

  /** The same server, with all that clients say to it recorded. */
  async before(server: ReproServer): Promise<ReproServer> {
    createTraceFile(this.#file, "repro");
    const header = { began: Date.now(), by: "proxy" as const, versions: { node: process.versions.node }, settings: {} };
    let failure: Error | undefined;
    const recorder = new Recorder({ file: this.#file, limitBytes, header }, (sentence) => {
      failure ??= new Error(sentence);
    });
    const proxy = await startProxy(0, { host: "127.0.0.1", port: server.address.port }, recorder);
    return {
      address: { ...server.address, port: proxy.port },
      ended: server.ended,
      stop: async () => {
        await proxy.stop();
        await server.stop();
        if (failure) throw failure;
      },
    };
  }

  /** Leaves out all that the first wrong answer does not need. False if what is left does not fail again; rejects with the signal's reason. */
  async shrink(signal: AbortSignal): Promise<boolean> {
    const flags = new FlagValues({ against: "stock", output: this.#output });
    // What it says on the way is no part of the report.
    const context = { ...this.#context, stdout: this.#context.stderr };
    signal.throwIfAborted();
    return (await shrinkTrace([this.#file], flags, context, signal)) === ExitCode.ok;
  }

  /** Removes what is no result. */
  end(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What can be done with the file. */
export function howToReplay(file: string): string {
  const name = /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
  const trace = "npx pglite-devdb trace";
  return `
The first wrong answer of the stock library, and all that it needs, is in ${file}:
  ${trace} show ${name}                        what was said
  ${trace} check ${name}                       what is wrong with it
  ${trace} replay ${name} --against stock      the same again: nothing differs, exit 0
  ${trace} replay ${name} --against isolated   what PostgreSQL answers: it differs, exit 1
`;
}
