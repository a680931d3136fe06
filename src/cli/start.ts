/**
 * `pglite-devdb start`: a server in the foreground.
 *
 * Owns: the order of ready line, waiting and closing. Does not own: the server, the signals, the ready line's form.
 * Invariant: stdout gets the ready line and nothing else.
 */
import { controlDevDb } from "../dev-db/control.ts";
import { engineOf } from "../dev-db/engines.ts";
import { UsageError } from "../errors.ts";
import { type CliCommand, serverOptions } from "./command.ts";
import { logTo } from "./log.ts";
import { watchParent } from "./parent.ts";
import { ProgressLine } from "./progress.ts";
import { readyText } from "./ready-text.ts";
import { listenForSignals, type SignalReceived } from "./signals.ts";

/** The default command. */
export const startCommand: CliCommand = {
  name: "start",
  usage: "[options]",
  summary: "start a server in the foreground (the default command)",
  options: serverOptions("start"),
  async run(operands, options, { cwd, environment, stdout, stderr }) {
    if (operands[0] !== undefined) {
      throw new UsageError(
        `there is no command or argument ${JSON.stringify(operands[0])} here; a command comes first: pglite-devdb <command> [options]`,
      );
    }
    const line = new ProgressLine(stderr, environment, options);
    const log = logTo(line, options.logLevel);
    const signal = listenForSignals(() => log("error", "ending before everything is closed"));
    // As if the terminal had been closed.
    watchParent(() => process.kill(process.pid, "SIGHUP"));
    const control = controlDevDb(options, { cwd, log, signal, progress: line.doing });
    const db = await control.start().finally(() => line.end());
    stdout.write(
      readyText(options.output, db, { data: engineOf(options).describeData(options, cwd), pid: process.pid }),
    );
    await Promise.race([aborted(signal), db.ended]);
    const reason = signal.reason as SignalReceived;
    log("info", `${reason.signal}: closing`);
    await control.stop();
    return reason.exitCode;
  },
};

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
