/**
 * What a session remembers: settings, its transaction, names of statements, channels.
 *
 * Owns: what one connection has done to its own, and the accusation where it sees what is not. Does not own: the values of
 * the others (`settings.ts`).
 */
import type { WireMessage } from "../../wire/connection-reader.ts";
import { readDataRow, readErrorFields } from "../../wire/query-results.ts";
import { settingsIn } from "../../wire/startup-options.ts";
import type { Consequences } from "./consequences.ts";
import type { Problem } from "./finding.ts";
import type { Settings } from "./settings.ts";
import type { About } from "./statements.ts";

const setting = /\bset\s+(session\s+|local\s+)?("?[a-z_][\w.]*"?)\s*(?:=|\bto\b)\s*([^;]+)/gi;
const zone = /\bset\s+(?:session\s+|local\s+)?time\s+zone\s+([^;]+)/gi;
const configured = /\bset_config\s*\(\s*(?:'([^']*)'|[^,]*)\s*,\s*(?:'([^']*)'|\$(\d+))?/gi;
const shows = /^\s*(?:show\s+("?[a-z_][\w.]*"?)|select\s+current_setting\s*\(\s*'([^']+)')/i;
const onlySettings = /^(?:\s*(?:-c\s*|--)(?:\\[\s\S]|[^\s\\])+)*\s*$/;
const alters = /\balter\s+(?:system|role|user|database)\b|\bpg_reload_conf\b/i;

/** Of one connection. */
export class SessionState {
  readonly #connection: number;
  readonly #settings: Settings;
  readonly #consequences: Consequences;
  /** Names that it has set, or may have; `*`: any. */
  readonly #touched = new Set<string>();
  readonly #prepared = new Set<string>();
  #scope = "";
  #status = "I";
  #tags: string[] = [];
  #hadError = false;
  #listens = false;
  #prepares = false;
  #isLoggedIn = false;

  constructor(connection: number, settings: Settings, consequences: Consequences) {
    this.#connection = connection;
    this.#settings = settings;
    this.#consequences = consequences;
  }

  /** A message of the client. */
  asks({ name, body }: WireMessage, { statement, portal }: About): void {
    if (name === "StartupMessage") {
      const words = body.toString("utf8", 4).split("\0");
      for (const word of words) this.#touched.add(word.toLowerCase());
      // What ALTER ROLE and ALTER DATABASE have set is not in the trace.
      this.#scope = ["user", "database"].map((name) => words[words.indexOf(name) + 1]).join(" ");
      const at = words.indexOf("options");
      if (at >= 0) this.#takes(words[at + 1] ?? "");
    }
    if (statement && (name === "Query" || name === "Parse" || name === "Bind"))
      this.#reads(statement.sql, portal?.values ?? []);
  }

  /** A message of the server. */
  gets(message: WireMessage, about: About | undefined): Problem | undefined {
    const { name, body } = message;
    switch (name) {
      case "ParameterStatus":
        return this.#sees(...(body.toString("utf8").split("\0") as [string, string]));
      case "NotificationResponse":
        if (this.#listens) return undefined;
        return { kind: "foreign answer", sentence: "got a notification, and had never said LISTEN" };
      case "CommandComplete":
        this.#consequences.succeeds(this.#connection, about?.statement?.sql ?? "");
        this.#tags.push(body.toString("utf8", 0, body.length - 1));
        return undefined;
      case "ParseComplete":
        if (about?.name !== undefined) this.#prepared.add(about.name);
        return undefined;
      case "ErrorResponse":
        return this.#fails(readErrorFields(body), about);
      case "DataRow":
        return this.#showsRow(body, about);
      case "ReadyForQuery":
        return this.#ready(body.toString("latin1"));
      default:
        return undefined;
    }
  }

  #reads(sql: string, values: readonly string[]): void {
    if (/\blisten\b/i.test(sql)) this.#listens = true;
    if (/\bprepare\b/i.test(sql)) this.#prepares = true;
    if (alters.test(sql)) {
      this.#settings.commonMayChange();
      this.#consequences.commonMayChange();
    }
    for (const [, scope = "", name, value] of sql.matchAll(setting)) {
      this.#sets(name!, value!);
      if (!/^local/i.test(scope)) this.#consequences.sets(this.#connection, plain(name!), value!);
    }
    this.#consequences.reads(this.#connection, sql);
    for (const [, value] of sql.matchAll(zone)) this.#sets("timezone", value!);
    for (const [, name, literal, parameter] of sql.matchAll(configured)) {
      this.#sets(name ?? "*", literal ?? values[Number(parameter) - 1] ?? "");
    }
  }

  /** The startup parameter `options`. */
  #takes(options: string): void {
    for (const [name, value] of settingsIn(options)) {
      this.#sets(name, value);
      this.#consequences.sets(this.#connection, plain(name), value);
    }
    // Other arguments of a backend set something, too.
    if (!onlySettings.test(options)) this.#touched.add("*");
    this.#consequences.reads(this.#connection, options);
  }

  #sets(given: string, value: string): void {
    const name = plain(given);
    this.#touched.add(name);
    this.#settings.set(this.#connection, name, value);
  }

  #showsRow(body: Buffer, about: About | undefined): Problem | undefined {
    const [, shown, current] = shows.exec(about?.statement?.sql ?? "") ?? [];
    const name = shown ?? current;
    const value = name === undefined ? undefined : readDataRow(body)[0];
    return typeof value === "string" ? this.#sees(name!, value) : undefined;
  }

  #sees(given: string, value: string): Problem | undefined {
    const name = plain(given);
    if (this.#touched.has(name) || this.#touched.has("*")) return undefined;
    const owner = this.#settings.seen(this.#connection, this.#scope, name, value);
    if (owner === undefined) return undefined;
    return leaked(`sees ${name} = ${JSON.stringify(value)}, which connection ${owner} has set and it has not`);
  }

  #fails(fields: ReadonlyMap<string, string>, about: About | undefined): Problem | undefined {
    this.#hadError = true;
    const { asked, name, statement } = about ?? {};
    const [code = "", message = ""] = [fields.get("C"), fields.get("M")];
    const cause = this.#touched.has("*")
      ? undefined
      : this.#consequences.explains(this.#connection, code, message, statement?.sql ?? "");
    if (cause !== undefined) return leaked(`got "${message}" (${code}), ${cause}`);
    if (code !== "42P05" || asked !== "Parse" || name === undefined) return undefined;
    if (this.#prepared.has(name) || this.#prepares) return undefined;
    return leaked(`got "${message}", and had prepared none of that name`);
  }

  #ready(status: string): Problem | undefined {
    const [before, tags, hadError] = [this.#status, this.#tags, this.#hadError];
    this.#status = status;
    this.#tags = [];
    this.#hadError = false;
    if (!this.#isLoggedIn) {
      this.#isLoggedIn = true;
      return status === "I" ? undefined : leaked("begins in a transaction that it has not begun");
    }
    const begins = tags.some((tag) => /^(?:BEGIN|START TRANSACTION)/.test(tag));
    const ends = tags.some((tag) => /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)/.test(tag));
    if (status !== "I" && before === "I" && !begins) return leaked("is in a transaction that it has not begun");
    if (status === "I" && before !== "I" && !ends && !hadError)
      return leaked("is in no transaction any more, and has not ended it");
    return undefined;
  }
}

function leaked(sentence: string): Problem {
  return { kind: "leaked state", sentence };
}

/** Returns the name of a setting without quotes and in lower case. */
function plain(name: string): string {
  return name.replaceAll('"', "").toLowerCase();
}
