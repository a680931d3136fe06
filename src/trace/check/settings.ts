/**
 * Settings that one connection made and another one sees.
 *
 * Owns: what was set by whom, and which value is everybody's. Does not own: finding the statements (`session-state.ts`).
 * Invariant: a value is somebody else's only if it is what they have set, and was another one for those of the same user and
 * database who had set nothing.
 */

/** Of all connections. */
export class Settings {
  /** Who has set a value last. */
  readonly #set = new Map<string, number>();
  /** What those see who have set nothing. */
  readonly #common = new Map<string, string>();
  #isUnsure = false;

  /** A connection sets it. */
  set(connection: number, name: string, value: string): void {
    this.#set.set(`${name}=${plain(value)}`, connection);
  }

  /** From now on the values for everybody may be others. */
  commonMayChange(): void {
    this.#isUnsure = true;
  }

  /** One who has not set it sees it; returns whose it is, if it is somebody's. `scope`: a user and a database. */
  seen(connection: number, scope: string, name: string, value: string): number | undefined {
    if (this.#isUnsure) return undefined;
    const owner = this.#set.get(`${name}=${plain(value)}`);
    // A name with a dot has no value unless somebody gives it one.
    const key = `${scope} ${name}`;
    const common = this.#common.get(key) ?? (name.includes(".") ? "" : undefined);
    if (common === undefined) this.#common.set(key, plain(value));
    if (owner === undefined || owner === connection) return undefined;
    return common !== undefined && common !== plain(value) ? owner : undefined;
  }
}

/** Without quotes and blanks. */
function plain(value: string): string {
  return value.toLowerCase().replaceAll(/['"\s]/g, "");
}
