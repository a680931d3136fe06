/**
 * What `pglite-devdb trace` can do, each with its flags.
 *
 * Owns: the shape of such a part, the reading of its flags and the opening of its file. Does not own: what one does (a file each).
 * Invariant: a flag that a part does not have is a usage error.
 */
import { UsageError } from "../../errors.ts";
import { withoutPassword } from "../../options/server-url.ts";
import type { ValueKind } from "../../options/value-kinds.ts";
import { openTrace, type Trace } from "../../trace/read/trace-reader.ts";
import type { CommandContext } from "../command.ts";
import { logTo } from "../log.ts";

/** A flag; `kind` is missing for one without a value. */
interface TraceFlag {
  readonly flags: string;
  readonly kind?: ValueKind<unknown>;
  readonly help: string;
}

/** One thing that can be done with traces. */
export interface TraceSubcommand {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly TraceFlag[];
  /** Resolves with the exit code. */
  run(operands: readonly string[], flags: FlagValues, context: CommandContext): Promise<number>;
}

/** The name of a flag as it is typed, `--since`. */
export function spelling({ flags }: Pick<TraceFlag, "flags">): string {
  return /--[a-z-]+/.exec(flags)![0];
}

/** The values that were given. */
export class FlagValues {
  readonly #given: Readonly<Record<string, unknown>>;

  /** `given` is commander's, by names like `traceLimit`. */
  constructor(given: Readonly<Record<string, unknown>>) {
    this.#given = given;
  }

  /** Of one flag; undefined if it was not given. Throws a `UsageError`. */
  get<T>(flag: { readonly flags: string; readonly kind: ValueKind<T> }): T | undefined {
    const text = this.#given[attribute(flag)];
    if (text === undefined) return undefined;
    const value = flag.kind.fromText(String(text));
    if (value === undefined)
      throw new UsageError(
        `${spelling(flag)}: ${JSON.stringify(withoutPassword(String(text)))} is not ${flag.kind.takes}`,
      );
    return value;
  }

  /** Whether a flag without a value was given. */
  has(flag: Pick<TraceFlag, "flags">): boolean {
    return this.#given[attribute(flag)] === true;
  }
}

/** What commander calls it. */
export function attribute(flag: Pick<TraceFlag, "flags">): string {
  return spelling(flag)
    .slice(2)
    .replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Opens it; what is missing at its end is said on stderr. Throws a `UsageError`. */
export function openWarning(file: string, stderr: CommandContext["stderr"]): Trace {
  const trace = openTrace(file);
  if (trace.cutOff !== undefined) logTo(stderr, "info")("info", `warning: ${trace.cutOff}`);
  return trace;
}

/** The one FILE that most of them take. Throws a `UsageError`. */
export function oneFile(name: string, operands: readonly string[]): string {
  const [file, ...more] = operands;
  if (file === undefined) throw new UsageError(`trace ${name}: name a trace: pglite-devdb trace ${name} FILE`);
  if (more.length > 0) throw new UsageError(`trace ${name}: takes one FILE; ${JSON.stringify(more[0])} is too much`);
  return file;
}
