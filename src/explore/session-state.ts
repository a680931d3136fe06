/**
 * What a schedule leaves in the sessions of the actors, undone: their pools keep them for the next one.
 *
 * Owns: transactions, LISTEN, advisory locks and settings. Does not own: what pools keep on purpose (prepared statements), or the data
 * (`reset`).
 * Invariant: settings are those that a connection had when the exploration began, or at the end of the first schedule in which it was used:
 * what a pool sets when it connects stays.
 */
import type { AsideRun } from "../engine/gate.ts";
import { quoteLiteral } from "../migrate/sql-quoting.ts";
import type { GateClient } from "./gate-client.ts";

const authorization = "session_authorization";

/** The connections that a schedule has used, with the status of their transactions. */
type UsedSessions = ReadonlyMap<number, { readonly status: "I" | "T" | "E" }>;

type Settings = ReadonlyMap<string, string>;

/** The settings of sessions, by their connections; nothing of one that has none yet, or none any more. */
export type SettingsOf = ReadonlyMap<number, readonly (readonly [name: string, value: string])[]>;

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
    const all = await this.#gate.ask({ do: "settings", connections });
    connections.forEach((connection, at) => {
      const settings = all[at];
      if (settings) this.#settings.set(connection, new Map(settings));
    });
  }

  /** Puts the settings back that a schedule has changed: whatever it sent may have done so, a function for example. */
  async restore(used: SettingsOf): Promise<void> {
    const runs = [...used].flatMap(([connection, settings]) => {
      if (settings.length === 0) return [];
      const now = new Map(settings);
      const before = this.#settings.get(connection);
      if (!before) this.#settings.set(connection, now);
      const sql = before ? backTo(before, now) : "";
      return sql === "" ? [] : [{ connection, sql }];
    });
    if (runs.length > 0) await this.#gate.ask({ do: "aside", runs });
  }
}

/** What makes the settings those that were before; nothing if they are. */
function backTo(before: Settings, now: Settings): string {
  // A setting of the application's own that was set back is an empty text.
  const changed = [...new Set([...before.keys(), ...now.keys()])].filter(
    (name) => (before.get(name) ?? "") !== (now.get(name) ?? ""),
  );
  if (changed.length === 0) return "";
  const isOther = changed.includes(authorization);
  // It takes the role along; and whoever it is now may be allowed less.
  const names = changed.filter((name) => name !== authorization && name !== "role");
  const calls = [...names, "role"].map((name) => {
    const value = before.get(name);
    return `set_config(${quoteLiteral(name)}, ${value === undefined ? "NULL" : quoteLiteral(value)}, false)`;
  });
  const first = isOther ? `SET SESSION AUTHORIZATION ${quoteLiteral(before.get(authorization)!)}; ` : "";
  return `${first}RESET ROLE; SELECT ${calls.join(", ")}`;
}
