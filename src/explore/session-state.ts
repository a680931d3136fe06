/**
 * What a schedule leaves in the sessions of the actors, undone: their pools keep them for the next one.
 *
 * Owns: transactions, LISTEN, advisory locks and settings. Does not own: what pools keep on purpose (prepared statements), or the data
 * (`reset`).
 * Invariant: settings are those of the end of the schedule in which a connection came first: what a pool sets when it connects stays.
 */
import type { GateClient } from "./gate-client.ts";
import type { ScheduleOutcome } from "./schedule-run.ts";

/** Settings that a session can have set; `role` is not in the view. */
const settingsQuery = `SELECT name, setting FROM pg_settings WHERE source = 'session'
  UNION ALL SELECT 'role', current_setting('role')`;
/** What may change a setting for longer than its transaction. */
const setsSomething =
  /(^|;)\s*(set\s+(?!local\b|transaction\b|constraints\b)|reset\b|discard\b)|\bset_config\s*\(|\bexecute\b|\bdo\b/i;

type Settings = ReadonlyMap<string, string>;

/** See the head of the file. */
export class SessionStates {
  readonly #gate: GateClient;
  readonly #settings = new Map<number, Settings>();

  constructor(gate: GateClient) {
    this.#gate = gate;
  }

  /** At the end of a schedule, while the gate is shut. */
  async undo(connections: ScheduleOutcome["connections"]): Promise<void> {
    for (const [connection, { status, sql }] of connections) {
      try {
        await this.#undo(connection, status, sql);
      } catch {
        // It has been closed, and with it went what it had.
        this.#settings.delete(connection);
      }
    }
  }

  async #undo(connection: number, status: "I" | "T" | "E", sql: readonly string[]): Promise<void> {
    const ask = (text: string) => this.#gate.ask({ do: "aside", connection, sql: text });
    await ask(`${status === "I" ? "" : "ROLLBACK; "}UNLISTEN *; SELECT pg_advisory_unlock_all()`);
    const before = this.#settings.get(connection);
    if (before && !sql.some((text) => setsSomething.test(text))) return;
    const now = new Map((await ask(settingsQuery)).map(([name, value]) => [name!, value!] as const));
    if (!before) {
      this.#settings.set(connection, now);
      return;
    }
    for (const name of new Set([...before.keys(), ...now.keys()])) {
      const value = before.get(name);
      if (value === now.get(name)) continue;
      await ask(`SELECT set_config(${literal(name)}, ${value === undefined ? "NULL" : literal(value)}, false)`);
    }
  }
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
