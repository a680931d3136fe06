/**
 * What a schedule leaves in the sessions of the actors, undone: their pools keep them for the next one.
 *
 * Owns: transactions, LISTEN, advisory locks and settings. Does not own: what pools keep on purpose (prepared statements), or the data
 * (`reset`).
 * Invariant: settings are those that a connection had when the exploration began, or at the end of the first schedule in which it was used:
 * what a pool sets when it connects stays.
 */
import type { AsideRun } from "../engine/gate.ts";
import type { GateClient } from "./gate-client.ts";
import type { Sql } from "./sql.ts";

/** The names of an application's own settings, which are in no view. */
const ownSettings = String.raw`\m(?:set\s+(?:session\s+)?|set_config\s*\(\s*')(\w+\.\w+)`;
const ownSettingsInText = new RegExp(ownSettings.replace(String.raw`\m`, String.raw`\b`), "gi");
/** Those that functions may set. */
const ownSettingsQuery = `SELECT DISTINCT found[1] AS name
  FROM pg_proc, LATERAL regexp_matches(prosrc, ${literal(ownSettings)}, 'gi') AS found
  WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;

/** Settings that a session can have set; the first two of the others are not in the view, either. */
const settingsQuery = (
  names: Iterable<string>,
): string => `SELECT name, setting FROM pg_settings WHERE source = 'session'
  UNION ALL SELECT 'role', current_setting('role')
  UNION ALL SELECT '${authorization}', session_user
  UNION ALL SELECT name, current_setting(name, true) FROM unnest(ARRAY[${[...names].map(literal)}]::text[]) AS own (name)`;
const authorization = "session_authorization";

/** The connections that a schedule has used, with the status of their transactions and all that they were sent. */
export type UsedSessions = ReadonlyMap<number, { readonly status: "I" | "T" | "E"; readonly sql: readonly string[] }>;

type Settings = ReadonlyMap<string, string>;

/** What ends all of it but the settings. */
export function undo(connections: UsedSessions): AsideRun[] {
  return [...connections].map(([connection, { status }]) => {
    const rollback = status === "I" ? "" : "ROLLBACK; ";
    return { connection, sql: `${rollback}UNLISTEN *; SELECT pg_advisory_unlock_all()` };
  });
}

/** See the head of the file. */
export class SessionStates {
  readonly #gate: GateClient;
  readonly #settings = new Map<number, Settings>();
  /** The application's own that it may set. */
  readonly #names = new Set<string>();

  constructor(gate: GateClient) {
    this.#gate = gate;
  }

  /** Before anything is held. */
  async learnNames(sql: Sql): Promise<void> {
    for (const { name } of await sql<{ name: string }>(ownSettingsQuery)) this.#names.add(name.toLowerCase());
  }

  /** Before the first schedule, while the gate is shut. */
  async learn(connections: readonly number[]): Promise<void> {
    const all = await this.#ask(connections);
    connections.forEach((connection, at) => {
      // Without rows it has no session yet.
      if (all[at]!.length > 0) this.#settings.set(connection, settingsOf(all[at]!));
    });
  }

  /** Puts the settings back after a schedule: whatever it sent may have changed them, a function for example. */
  async restore(used: UsedSessions): Promise<void> {
    for (const { sql } of used.values())
      for (const text of sql)
        for (const [, name] of text.matchAll(ownSettingsInText)) this.#names.add(name!.toLowerCase());
    const connections = [...used.keys()];
    const all = await this.#ask(connections);
    const runs = connections.flatMap((connection, at) => {
      if (all[at]!.length === 0) return [];
      const now = settingsOf(all[at]!);
      const before = this.#settings.get(connection);
      if (!before) this.#settings.set(connection, now);
      const sql = before ? backTo(before, now) : "";
      return sql === "" ? [] : [{ connection, sql }];
    });
    if (runs.length > 0) await this.#gate.ask({ do: "aside", runs });
  }

  #ask(connections: readonly number[]): Promise<readonly (readonly (readonly (string | null)[])[])[]> {
    const sql = settingsQuery(this.#names);
    return this.#gate.ask({ do: "aside", runs: connections.map((connection) => ({ connection, sql })) });
  }
}

/** What makes the settings those that were before; nothing if they are. */
function backTo(before: Settings, now: Settings): string {
  // A setting of the application's own that was never set is null, and an empty text when it is set back.
  const changed = [...new Set([...before.keys(), ...now.keys()])].filter(
    (name) => (before.get(name) ?? "") !== (now.get(name) ?? ""),
  );
  if (changed.length === 0) return "";
  const isOther = changed.includes(authorization);
  // It takes the role along; and whoever it is now may be allowed less.
  const names = changed.filter((name) => name !== authorization && name !== "role");
  const calls = [...names, "role"].map((name) => {
    const value = before.get(name);
    return `set_config(${literal(name)}, ${value === undefined ? "NULL" : literal(value)}, false)`;
  });
  const first = isOther ? `SET SESSION AUTHORIZATION ${literal(before.get(authorization)!)}; ` : "";
  return `${first}RESET ROLE; SELECT ${calls.join(", ")}`;
}

function settingsOf(rows: readonly (readonly (string | null)[])[]): Settings {
  return new Map(rows.flatMap(([name, value]) => (value === null ? [] : [[name!, value!] as const])));
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
