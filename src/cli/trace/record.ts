/**
 * `pglite-devdb trace record FILE --listen PORT --upstream URL`: a trace of any PostgreSQL.
 *
 * Owns: its flags, and when it ends. Does not own: the proxy and the trace (`trace/record/`).
 */
import { resolve } from "node:path";
import { ExitCode, PortTakenError, UsageError } from "../../errors.ts";
import { wholeNumber } from "../../options/value-kinds.ts";
import { optionTable } from "../../options.ts";
import { startProxy } from "../../trace/record/proxy.ts";
import { Recorder } from "../../trace/record/recorder.ts";
import { createTraceFile, removeTraceFile } from "../../trace/record/trace-file.ts";
import { logTo } from "../log.ts";
import { listenForSignals } from "../signals.ts";
import { serverUrlOf } from "./server-url.ts";
import { oneFile, type TraceSubcommand } from "./subcommand.ts";

const flag = {
  listen: {
    flags: "--listen <port>",
    kind: wholeNumber(0, 65_535),
    help: "where clients connect to, on 127.0.0.1; 0 takes any free port",
  },
  upstream: {
    flags: "--upstream <url>",
    kind: serverUrlOf("--upstream"),
    help: "the server; user and database are those of each client",
  },
  limit: {
    flags: "--trace-limit <mb>",
    kind: optionTable.traceLimitMb.kind,
    help: `${optionTable.traceLimitMb.help}. [default 256]`,
  },
} as const;

/** The part `record`. */
export const recordSubcommand: TraceSubcommand = {
  name: "record",
  usage: "FILE --listen PORT --upstream URL",
  summary: "record the clients of another PostgreSQL, as a proxy before it, until Ctrl-C",
  flags: Object.values(flag),
  async run(operands, flags, { stdout, stderr, cwd }) {
    const file = resolve(cwd, oneFile("record", operands));
    const [port, upstream] = [flags.get(flag.listen), flags.get(flag.upstream)];
    if (port === undefined || upstream === undefined) {
      throw new UsageError(
        "trace record: say where to listen and which server is recorded: --listen PORT --upstream URL",
      );
    }
    const limitMb = flags.get(flag.limit) ?? optionTable.traceLimitMb.default;
    createTraceFile(file, "trace record");
    const log = logTo(stderr, "info");
    const header = { began: Date.now(), by: "proxy" as const, versions: { node: process.versions.node }, settings: {} };
    const recorder = new Recorder({ file, limitBytes: limitMb * 1024 * 1024, header }, (sentence) =>
      log("error", sentence),
    );
    const signal = listenForSignals(() => process.exit(ExitCode.failure));
    const onRefused = (error: Error): void => log("error", `a client was not served: ${error.message}`);
    const proxy = await startProxy(port, upstream.address, recorder, onRefused).catch(
      (error: NodeJS.ErrnoException) => {
        removeTraceFile(file);
        if (error.code !== "EADDRINUSE") throw error;
        throw new PortTakenError(`--listen: port ${port} is taken`, { cause: error });
      },
    );
    stdout.write(`recording 127.0.0.1:${proxy.port} into ${file}; Ctrl-C ends it\n`);
    if (!signal.aborted) await new Promise((end) => signal.addEventListener("abort", end, { once: true }));
    await proxy.stop();
    return ExitCode.ok;
  },
};
