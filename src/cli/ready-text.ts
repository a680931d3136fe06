/**
 * What is printed on stdout when the server is ready, in its three forms.
 *
 * Owns: the wording for a person and the keys for a program. Does not own: the values.
 * Invariant: `json` is one line, `env` is only KEY=VALUE lines that a shell and dotenv read alike: a value that one of
 * them would change is quoted.
 */
import type { DevDb } from "../dev-db/handle.ts";
import type { OutputForm } from "../options.ts";

/** What the ready text tells beside the database itself. */
interface ReadyContext {
  /** Where the data is, for a person. */
  data: string;
  pid: number;
}

/** The text for stdout, with its line break at the end. */
export function readyText(form: OutputForm, db: DevDb, context: ReadyContext): string {
  switch (form) {
    case "json":
      return `${JSON.stringify(readyRecord(db, context.pid))}\n`;
    case "env":
      return Object.entries(db.env)
        .map(([name, value]) => `${name}=${quoteForAssignment(value)}\n`)
        .join("");
    case "text":
      return textForPerson(db, context);
  }
}

/** The keys are a contract (docs/options.md, "Commands"). */
function readyRecord(db: DevDb, pid: number): object {
  return {
    url: db.url,
    host: db.host,
    port: db.port,
    socketDir: db.socketDir ?? null,
    database: db.database,
    pid,
    version: db.version,
    sessions: db.sessions,
    migrationsApplied: db.migrationsApplied,
    ms: db.ms,
    ...(db.certificateFile === undefined ? {} : { certificateFile: db.certificateFile }),
  };
}

function textForPerson(db: DevDb, { data }: ReadyContext): string {
  const count = db.migrationsApplied.length;
  const migrations = count === 1 ? "1 migration applied" : `${count} migrations applied`;
  const lines = [
    `PostgreSQL ${db.version} is ready (${migrations}, ${(db.ms / 1000).toFixed(1)} s)`,
    "",
    `  URL   ${db.url}`,
    `  psql  psql ${db.url}`,
    ...(db.socketDir === undefined
      ? []
      : [`        psql -h ${quoteForShell(db.socketDir)} -p ${db.port} ${loginArguments(db)}`]),
    ...(db.certificateFile === undefined ? [] : [`  TLS   certificate: ${db.certificateFile}`]),
    `  data  ${data}`,
    "",
  ];
  return `${lines.join("\n")}\n`;
}

/** psql takes the user's name for the database's. */
function loginArguments({ user, database }: DevDb): string {
  return `-U ${quoteForShell(user)}${user === database ? "" : ` ${quoteForShell(database)}`}`;
}

/** dotenv knows no quote within single quotes: such a value gets double quotes where they change nothing. */
function quoteForAssignment(value: string): string {
  return value.includes("'") && !/["$`\\!]/.test(value) ? `"${value}"` : quoteForShell(value);
}

/** Single quotes where a shell would read something else than the value. */
function quoteForShell(value: string): string {
  return /^[\w@%+=:,./[\]-]*$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
