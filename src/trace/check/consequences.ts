/**
 * Errors that a setting or a temporary table of another connection causes.
 *
 * Owns: the settings and temporary tables of each session, and the errors that they cause. Does not own: values in results (`settings.ts`).
 * Invariant: an error that a connection may have caused itself is not reported as a leak. After ALTER ROLE, ALTER DATABASE or ALTER SYSTEM no error
 * is.
 */
const characteristics = /\bset\s+session\s+characteristics\b[^;]*\bread\s+only\b/i;
const undone = /\b(?:reset|discard)\s+(all|"?[a-z_][\w.]*"?)/gi;
const temporary = /\bcreate\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?/gi;
/** The name of the setting may be a parameter. */
const anySetting = /set_config/i;
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
  /** Connections by the setting that they have mentioned in any text. */
  readonly #mentioned = new Map<string, Set<number>>();
  #isUnsure = false;

  /** From now on the values for everybody may be others. */
  commonMayChange(): void {
    this.#isUnsure = true;
  }

  /** A connection sets a value for its session; `name` is in lower case and without quotes. */
  sets(connection: number, name: string, value: string): void {
    const owners = ofKey(this.#left, name);
    if (off.test(value.trim().replaceAll("'", ""))) owners.delete(connection);
    else owners.add(connection);
  }

  /** A connection sends a statement, after the call of `sets` for what it sets, or the startup parameter `options`. */
  reads(connection: number, text: string): void {
    if (characteristics.test(text)) this.sets(connection, "default_transaction_read_only", "on");
    for (const [, name] of text.matchAll(undone)) this.#undoes(connection, name!.toLowerCase());
    for (const { setting, own } of consequences)
      if (own.test(text) || anySetting.test(text)) ofKey(this.#mentioned, setting).add(connection);
  }

  /** A statement has succeeded. */
  succeeds(connection: number, sql: string): void {
    for (const [, table] of sql.matchAll(temporary)) ofKey(this.#left, tableOf(table!)).add(connection);
  }

  /** Names the other connection that causes an error, as the end of a sentence; undefined if none does. */
  explains(connection: number, code: string, message: string, sql: string): string | undefined {
    if (this.#isUnsure) return undefined;
    if (code === "42P07") return this.#explainsTable(connection, sql);
    const found = consequences.find((one) => one.code === code && one.message.test(message));
    if (!found || ofKey(this.#mentioned, found.setting).has(connection)) return undefined;
    const owner = this.#ownerBeside(connection, found.setting);
    return owner === undefined
      ? undefined
      : `but connection ${owner} has set ${found.setting}, and this connection has not`;
  }

  #explainsTable(connection: number, sql: string): string | undefined {
    for (const [, table] of sql.matchAll(temporary)) {
      const owners = ofKey(this.#left, tableOf(table!));
      const owner = owners.has(connection) ? undefined : this.#ownerBeside(connection, tableOf(table!));
      if (owner !== undefined)
        return `but connection ${owner} has made the temporary table ${table}, and this connection has not`;
    }
    return undefined;
  }

  #ownerBeside(connection: number, what: string): number | undefined {
    return [...ofKey(this.#left, what)].find((owner) => owner !== connection);
  }

  #undoes(connection: number, name: string): void {
    if (name !== "all") ofKey(this.#left, name.replaceAll('"', "")).delete(connection);
    else for (const owners of this.#left.values()) owners.delete(connection);
  }
}

function ofKey(map: Map<string, Set<number>>, key: string): Set<number> {
  const found = map.get(key) ?? new Set();
  map.set(key, found);
  return found;
}

function tableOf(name: string): string {
  return `temporary table ${name.toLowerCase()}`;
}
