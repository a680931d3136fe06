/**
 * Errors that a setting or a temporary table of another connection causes.
 *
 * Owns: the settings and temporary tables of each session, and the errors that they cause. Does not own: values in results (`settings.ts`).
 * Invariant: an error that a connection may have caused itself is not reported as a leak. After ALTER ROLE, ALTER DATABASE or ALTER SYSTEM no error
 * is.
 */
import { settingsIn } from "../../wire/startup-options.ts";

const session = /\bset\s+(?:session\s+)?(?!local\b)("?[a-z_][\w.]*"?)\s*(?:=|\bto\b)\s*([^;]+)/gi;
const characteristics = /\bset\s+session\s+characteristics\b[^;]*\bread\s+only\b/i;
const undone = /\b(?:reset|discard)\s+(all|"?[a-z_][\w.]*"?)/gi;
const alters = /\balter\s+(?:system|role|user|database)\b|\bpg_reload_conf\b/i;
const temporary = /\bcreate\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?/gi;
const off = /^(?:0|off|f|false|no|default)\b/i;

/** Errors, and the settings that cause them. */
const consequences = [
  {
    code: "25006",
    message: /read-only transaction/,
    setting: "default_transaction_read_only",
    own: /read\s*only|read_only/i,
  },
  { code: "57014", message: /statement timeout/, setting: "statement_timeout", own: /statement_timeout/i },
  { code: "55P03", message: /lock timeout/, setting: "lock_timeout", own: /lock_timeout/i },
] as const;

/** Follows all connections of a trace. */
export class Consequences {
  /** Connections by the name of a setting, or of a temporary table with the prefix `temporary table`. */
  readonly #left = new Map<string, Set<number>>();
  /** The names of such settings that each connection has mentioned in any statement. */
  readonly #said = new Map<number, string>();
  #isUnsure = false;

  /** A connection logs in with the startup parameter `options`. */
  begins(connection: number, options: string | undefined): void {
    for (const [name, value] of settingsIn(options)) this.#sets(connection, name, value);
    this.#says(connection, options ?? "");
  }

  /** A connection sends a statement. */
  reads(connection: number, sql: string): void {
    if (alters.test(sql)) this.#isUnsure = true;
    if (characteristics.test(sql)) this.#sets(connection, "default_transaction_read_only", "on");
    for (const [, name, value] of sql.matchAll(session)) this.#sets(connection, name!, value!);
    for (const [, name] of sql.matchAll(undone)) this.#undoes(connection, name!.toLowerCase());
    this.#says(connection, sql);
  }

  /** A statement has succeeded. */
  succeeds(connection: number, sql: string): void {
    for (const [, table] of sql.matchAll(temporary)) this.#owners(tableOf(table!)).add(connection);
  }

  /** Names the other connection that causes an error, as the end of a sentence; undefined if none does. */
  explains(connection: number, code: string, message: string, sql: string): string | undefined {
    if (this.#isUnsure) return undefined;
    if (code === "42P07") return this.#explainsTable(connection, sql);
    const found = consequences.find((one) => one.code === code && one.message.test(message));
    if (!found || found.own.test(this.#said.get(connection) ?? "")) return undefined;
    const owner = this.#ownerBeside(connection, found.setting);
    return owner === undefined
      ? undefined
      : `but connection ${owner} has set ${found.setting}, and this connection has not`;
  }

  #explainsTable(connection: number, sql: string): string | undefined {
    for (const [, table] of sql.matchAll(temporary)) {
      const owners = this.#owners(tableOf(table!));
      const owner = owners.has(connection) ? undefined : this.#ownerBeside(connection, tableOf(table!));
      if (owner !== undefined)
        return `but connection ${owner} has made the temporary table ${table}, and this connection has not`;
    }
    return undefined;
  }

  #ownerBeside(connection: number, what: string): number | undefined {
    return [...this.#owners(what)].find((owner) => owner !== connection);
  }

  #sets(connection: number, given: string, value: string): void {
    const name = given.replaceAll('"', "").toLowerCase();
    const owners = this.#owners(name);
    if (off.test(value.trim().replaceAll("'", ""))) owners.delete(connection);
    else owners.add(connection);
  }

  #undoes(connection: number, name: string): void {
    if (name !== "all") this.#owners(name.replaceAll('"', "")).delete(connection);
    else for (const owners of this.#left.values()) owners.delete(connection);
  }

  #owners(what: string): Set<number> {
    const owners = this.#left.get(what) ?? new Set();
    this.#left.set(what, owners);
    return owners;
  }

  #says(connection: number, text: string): void {
    const kept = text.match(/read\s*only|read_only|statement_timeout|lock_timeout|set_config/gi)?.join(" ");
    if (kept === undefined) return;
    const known = this.#said.get(connection) ?? "";
    // A name in set_config may be a parameter.
    const words = kept.replaceAll(/set_config/gi, "read_only statement_timeout lock_timeout");
    if (!known.includes(words)) this.#said.set(connection, `${known} ${words}`);
  }
}

function tableOf(name: string): string {
  return `temporary table ${name.toLowerCase()}`;
}
