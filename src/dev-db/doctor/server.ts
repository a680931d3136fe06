/**
 * What differs between PGlite and a server, and what the project needs that one of them lacks.
 *
 * Owns: which differences are worth a line, and what to do about each. Does not own: the facts (`facts.ts`), the needs (`needs.ts`).
 * Invariant: pure; a finding that stands in the way is one with which migrations or tests would fail on one side.
 */
import { adviceAboutExtension } from "../../engine/extensions.ts";
import type { ServerFacts } from "./facts.ts";
import type { Finding } from "./finding.ts";
import type { NeededExtension } from "./needs.ts";

/** Settings with which the same statements do something else. */
const behaving = [
  ...[
    "standard_conforming_strings",
    "backslash_quote",
    "array_nulls",
    "transform_null_equals",
    "quote_all_identifiers",
  ],
  ...["TimeZone", "DateStyle", "IntervalStyle", "bytea_output", "extra_float_digits", "xmloption", "xmlbinary"],
  ...[
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "search_path",
  ],
  ...[
    "row_security",
    "session_replication_role",
    "default_tablespace",
    "default_text_search_config",
    "default_toast_compression",
  ],
  ...[
    "statement_timeout",
    "lock_timeout",
    "transaction_timeout",
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
  ],
  ...[
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "max_prepared_transactions",
    "wal_level",
    "deadlock_timeout",
  ],
];
/** Those that PGlite's server has an own value for, whatever is set. */
const fixedHere = new Set(["max_prepared_transactions"]);
/** Limits that are compiled in. */
const compiled = ["block_size", "max_identifier_length", "max_function_args", "max_index_keys", "integer_datetimes"];

/** Findings about `there`, compared with `here`, which lets in so many clients. */
export function compareServers(
  here: ServerFacts,
  there: ServerFacts,
  needs: readonly NeededExtension[],
  clients: number,
): Finding[] {
  const findings = [
    version(here, there),
    ...rights(there),
    ...needs.flatMap((need) => needed(need, here, there)),
    ...locale(here, there),
    ...behaving.flatMap((name) => setting(name, here, there)),
    ...compiled.flatMap((name) => limit(name, here, there)),
    ...connections(clients, there),
    ...libraries(here, there),
    ...otherExtensions(here, there, needs),
  ];
  return findings;
}

function version(here: ServerFacts, there: ServerFacts): Finding {
  const [ours, theirs] = [here, there].map(({ version: text }) => text.split(".")[0]);
  if (ours === theirs) return ok(`PostgreSQL ${there.version} there, ${here.version} here: the same major version`);
  const word =
    Number(theirs) < Number(ours)
      ? "what is new since then works here and not there"
      : "what is new there does not work here";
  return differs(
    `PostgreSQL ${there.version} there, ${here.version} here: ${word}; run the tests there, too: --engine URL`,
  );
}

function rights({ isInRecovery, settings, mayMakeDatabases, hasTables }: ServerFacts): Finding[] {
  const isReadOnly = settings.get("default_transaction_read_only") === "on";
  return [
    ...(isInRecovery ? [stop("it is a standby, which nobody can write to: name the URL of its primary")] : []),
    ...(isReadOnly
      ? [
          stop(
            "default_transaction_read_only is on, so that no migration can be applied: add ?options=-c%20default_transaction_read_only%3Doff to the URL",
          ),
        ]
      : []),
    mayMakeDatabases
      ? ok("the user may make databases, which tests and branches need")
      : differs("the user may not make databases, which tests (useDatabase) and branches need: ALTER ROLE … CREATEDB"),
    ...(hasTables
      ? [
          differs(
            "the database has tables: migrations are applied by their ledger; a setup or a seed is refused unless this program has made them all. For tests nothing of it is touched",
          ),
        ]
      : []),
  ];
}

function needed({ name, file }: NeededExtension, here: ServerFacts, there: ServerFacts): Finding[] {
  const [ours, theirs] = [here, there].map((server) => server.available.get(name) ?? server.installed.get(name));
  if (ours !== undefined && theirs !== undefined)
    return [ok(`extension ${name} (${file}): ${theirs} there, ${ours} here`)];
  const findings: Finding[] = [];
  if (theirs === undefined)
    findings.push(
      stop(`extension ${name} (${file}) is not there: install it on that server, or leave it out of the migrations`),
    );
  if (ours === undefined)
    findings.push(
      stop(
        `extension ${name} (${file}) is not here: ${adviceAboutExtension(`extension "${name}" is not available`)}; or run on that server: --engine URL`,
      ),
    );
  return findings;
}

function locale(here: ServerFacts, there: ServerFacts): Finding[] {
  const names = [...new Set([...Object.keys(here.database), ...Object.keys(there.database)])];
  const advice: Record<string, string> = {
    encoding: "here there is UTF8 only; make the database there with ENCODING 'UTF8'",
    ctype:
      "upper(), lower() and \\w treat other letters so; make the database there with LOCALE 'C.UTF-8', or run on it: --engine URL",
  };
  const sorting = `text is sorted in another order; say COLLATE "C" where the order matters, or run on it: --engine URL`;
  return names.flatMap((name) => {
    const [ours, theirs] = [here.database[name] ?? "none", there.database[name] ?? "none"];
    return ours.toLowerCase().replace("utf-8", "utf8") === theirs.toLowerCase().replace("utf-8", "utf8")
      ? []
      : [differs(`${name}: ${theirs} there, ${ours} here: ${advice[name] ?? sorting}`)];
  });
}

function setting(name: string, here: ServerFacts, there: ServerFacts): Finding[] {
  const [ours, theirs] = [here.settings.get(name), there.settings.get(name)];
  if (ours === theirs || ours === undefined || theirs === undefined) return [];
  if (/^lc_/.test(name))
    return [
      differs(
        `${name}: ${shown(theirs)} there, ${shown(ours)} here: messages and formats of to_char() differ; do not compare their text`,
      ),
    ];
  const advice = fixedHere.has(name)
    ? "it cannot be set here; run on that server: --engine URL"
    : `to have it here, too: --set ${quoted(`${name}=${theirs}`)}`;
  return [differs(`${name}: ${shown(theirs)} there, ${shown(ours)} here: ${advice}`)];
}

function limit(name: string, here: ServerFacts, there: ServerFacts): Finding[] {
  const [ours, theirs] = [here.settings.get(name), there.settings.get(name)];
  if (ours === theirs || ours === undefined || theirs === undefined) return [];
  return [differs(`${name}: ${theirs} there, ${ours} here, compiled in: keep to the smaller one`)];
}

function connections(ours: number, there: ServerFacts): Finding[] {
  const [theirs, kept] = ["max_connections", "superuser_reserved_connections"].map((name) =>
    Number(there.settings.get(name) ?? 0),
  );
  const usable = theirs! - (there.isSuperuser ? 0 : kept!);
  if (usable >= ours) return [ok(`max_connections: ${theirs} there`)];
  return [
    differs(
      `max_connections: ${usable} to be used there, ${ours} here: keep the pools of all processes below that, and to notice it here: --max-connections ${usable}`,
    ),
  ];
}

/** What is loaded at the server's start. */
function libraries(here: ServerFacts, there: ServerFacts): Finding[] {
  const [ours, theirs] = [here, there].map(({ settings }) => namesOf(settings.get("shared_preload_libraries")));
  const missing = theirs!.filter((name) => !ours!.includes(name));
  return missing.map((name) =>
    here.available.has(name) || name === "auto_explain"
      ? differs(`${name} is loaded at the start there: here, too, with -e ${name}`)
      : differs(
          `${name} is loaded at the start there, and cannot be here: run on that server what needs it: --engine URL`,
        ),
  );
}

function otherExtensions(here: ServerFacts, there: ServerFacts, needs: readonly NeededExtension[]): Finding[] {
  const known = new Set(needs.map(({ name }) => name));
  const installed = [...there.installed.keys()].filter((name) => name !== "plpgsql" && !known.has(name));
  const lacking = installed.filter((name) => !here.available.has(name));
  const others = [...there.available.keys()].filter((name) => !here.available.has(name) && !installed.includes(name));
  const ownly = [...here.available.keys()].filter((name) => !there.available.has(name));
  return [
    ...lacking.map((name) =>
      differs(
        `extension ${name} is installed in that database and not here: ${adviceAboutExtension(`extension "${name}" is not available`)}`,
      ),
    ),
    ...(others.length > 0
      ? [
          differs(
            `extensions to be had there only: ${others.sort().join(", ")}: with a migration that needs one, run on that server: --engine URL`,
          ),
        ]
      : []),
    ...(ownly.length > 0
      ? [
          differs(
            `extensions to be had here only: ${ownly.sort().join(", ")}: install one there before a migration needs it`,
          ),
        ]
      : []),
  ];
}

function namesOf(list = ""): string[] {
  return list
    .split(",")
    .map((name) => name.trim().replaceAll(/^.*\/|"/g, ""))
    .filter(Boolean);
}

function shown(value: string): string {
  return value === "" ? '""' : value;
}

function quoted(text: string): string {
  return /^[\w=.+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function ok(text: string): Finding {
  return { weight: "ok", text };
}

function differs(text: string): Finding {
  return { weight: "differs", text };
}

function stop(text: string): Finding {
  return { weight: "stop", text };
}
