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

/** Settings that a session can have set; `role` is not in the view. */
const settingsQuery = `SELECT name, setting FROM pg_settings WHERE source = 'session'
  UNION ALL SELECT 'role', current_setting('role')`;
/** What may change a setting for longer than its transaction. */
const setsSomething =
  /(^|;)\s*(set\s+(?!local\b|transaction\b|constraints\b)|reset\b|discard\b)|\bset_config\s*\(|\bexecute\b|\bdo\b/i;

/** The names of an application's own settings, which are in no view. */
const ownSettings = /\b(?:set\s+(?:session\s+)?|set_config\s*\(\s*')(\w+\.\w+)/gi;

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

  constructor(gate: GateClient) {
    this.#gate = gate;
  }

  /** Before the first schedule, while the gate is shut. */
  async learn(connections: readonly number[]): Promise<void> {
    const runs = connections.map((connection) => ({ connection, sql: settingsQuery }));
    const all = await this.#gate.ask({ do: "aside", runs });
    connections.forEach((connection, at) => {
      // Without rows it has no session yet.
      if (all[at]!.length > 0) this.#settings.set(connection, settingsOf(all[at]!));
    });
  }

  /** Puts the settings back after a schedule. */
  async restore(connections: UsedSessions): Promise<void> {
    for (const [connection, { sql }] of connections) {
      const before = this.#settings.get(connection);
      const own = sql.flatMap((text) => [...text.matchAll(ownSettings)].map(([, name]) => name!));
      if (!before || sql.some((text) => setsSomething.test(text))) await this.#restore(connection, before, own);
    }
  }

  async #restore(connection: number, before: Settings | undefined, own: readonly string[]): Promise<void> {
    const [rows] = await this.#gate.ask({ do: "aside", runs: [{ connection, sql: settingsQuery }] });
    const now = settingsOf(rows!);
    if (!before) {
      this.#settings.set(connection, now);
      return;
    }
    const names = [...before.keys(), ...now.keys()].filter((name) => before.get(name) !== now.get(name));
    const calls = [...new Set([...names, ...own])].map((name) => {
      const value = before.get(name);
      return `set_config(${literal(name)}, ${value === undefined ? "NULL" : literal(value)}, false)`;
    });
    if (calls.length > 0)
      await this.#gate.ask({ do: "aside", runs: [{ connection, sql: `SELECT ${calls.join(", ")}` }] });
  }
}

function settingsOf(rows: readonly (readonly (string | null)[])[]): Settings {
  return new Map(rows.map(([name, value]) => [name!, value!] as const));
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
