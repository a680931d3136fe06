/**
 * What PostgreSQL writes to its log: PGlite's standard error, which nobody would see otherwise.
 *
 * Owns: its reports, line by line, and the error that says in PostgreSQL's words why it is gone. Does not own: who is told.
 * Invariant: of a running PostgreSQL an error is only explained by a report that ends it, a PANIC; of one that does not start, by all
 * that it has said.
 *
 * Engine: after a PANIC PostgreSQL aborts, and of that emscripten only says how to build PGlite.
 */

/** Reports about statements: there are some only where a setting asks for them (log_min_duration_statement, log_statement, auto_explain …). */
const aboutStatements = /^(duration|statement|parse \S+|bind \S+|execute \S+( fetch from)?.*): /;
const logLabel = "LOG:  ";

/** One report of PostgreSQL's log. */
interface LogReport {
  /** `WARNING`, `ERROR`, `LOG`, `FATAL`, `PANIC` … */
  readonly severity: string;
  /** The message with its severity, then DETAIL, HINT, STATEMENT …, each with its name, as PostgreSQL writes them. */
  readonly lines: string[];
}

/** Whatever `log_line_prefix` is; the first word of these in a line of the log is PostgreSQL's own. */
const labelled =
  /\b(DEBUG|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|LOCATION|BACKTRACE|STATEMENT): {2}(.*)$/s;
const parts = new Set(["DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT"]);
/** What says why, beside the message; the rest is for whoever reads the log. */
const explaining = /^(DETAIL|HINT): /;

/** Engine: PGlite's substitutes for system calls print complaints about PostgreSQL's checks of every lock file. */
const aboutEngine = /^pglitec: /;

/** More lines than PostgreSQL needs to say why it does not start. */
const mostLines = 30;
/** What is in front of PostgreSQL's own words. */
const prefix =
  /^.*?\b(?=(?:DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY):\s)/;

/** An error of the start; the fields get from the engine thread to the main thread. */
export interface StartupError extends Error {
  /** PostgreSQL's lines, the last one last. */
  readonly words?: string;
}

/** The log of one PostgreSQL. */
export class ServerLog {
  /** Whether somebody wants to know of a report that is being written, by its severity and message. */
  isWanted: (severity: string, message: string) => boolean = () => false;
  /** Is told of those, soon. */
  onReport: (level: "error" | "info", text: string) => void = () => {};
  #report: LogReport | undefined;
  #panic: LogReport | undefined;
  #isStarting = true;
  #startup: string[] = [];

  /** PGlite's option: a line, without its end. The answer is whether it has been dealt with. */
  readonly onStderr = (line: string): boolean => {
    if (aboutEngine.test(line)) return true;
    if (this.#isStarting) this.#startup = [...this.#startup.slice(1 - mostLines), line.replace(prefix, "")];
    const [, label = "", text = ""] = labelled.exec(line) ?? [];
    if (label === "" || parts.has(label)) {
      // A line of its own accord is emscripten's; one that goes on begins with a tab.
      if (label !== "") this.#report?.lines.push(`${label}:  ${text}`);
      else if (line.startsWith("\t")) this.#report?.lines.push(line);
      return true;
    }
    this.#report = { severity: label, lines: [`${label}:  ${text}`] };
    if (label === "PANIC") this.#panic = this.#report;
    const isStatement = label === "LOG" && aboutStatements.test(text);
    if (isStatement || this.isWanted(label, text)) this.#announce(this.#report, isStatement ? "info" : "error");
    return true;
  };

  /** Why PostgreSQL is gone: an error in its own words if it has said why, else what was thrown. */
  explainEnd(thrown: unknown): unknown {
    return this.#panic ? inPostgresWords(this.#panic, thrown) : thrown;
  }

  /** Why it did not start: a `StartupError` with all that it has said, or what was thrown if it has said nothing. */
  explainFailedStart(thrown: unknown): unknown {
    const words = this.#startup.join("\n").trim();
    if (words === "") return thrown;
    return Object.assign(new Error(`PostgreSQL did not start: ${words}`, { cause: thrown }), { words });
  }

  /** It runs: what it has said while it started explains nothing any more. */
  hasStarted(): void {
    this.#startup = [];
    this.#isStarting = false;
  }

  // All of its lines are written in one go.
  #announce({ lines }: LogReport, level: "error" | "info"): void {
    queueMicrotask(() => this.onReport(level, lines.join("\n").slice(level === "info" ? logLabel.length : 0)));
  }
}

function inPostgresWords({ lines }: LogReport, cause: unknown): Error {
  const [message = "", ...more] = lines;
  const error = new Error([message, ...more.filter((line) => explaining.test(line))].join("; "), { cause });
  // For the log: where in WebAssembly it was says nothing to anybody.
  error.stack = lines.join("\n");
  return error;
}
