/**
 * The lanes on the left: a column for each connection that is open.
 *
 * Owns: which connection has which column, and the signs. Does not own: what is shown beside them (`show.ts`).
 */

/** More connections than that share what is left: they have no column. */
const mostLanes = 24;

/** The columns at one moment. */
export class Lanes {
  readonly #columns: (number | undefined)[] = [];
  readonly #waiting = new Set<number>();

  /** Gives a connection a column, which a closed one may have left. */
  open(connection: number): void {
    if (this.#columns.includes(connection)) return;
    const free = this.#columns.indexOf(undefined);
    if (free >= 0) this.#columns[free] = connection;
    else if (this.#columns.length < mostLanes) this.#columns.push(connection);
  }

  close(connection: number): void {
    const column = this.#columns.indexOf(connection);
    if (column >= 0) this.#columns[column] = undefined;
    this.#waiting.delete(connection);
  }

  waits(connection: number, isWaiting: boolean): void {
    if (isWaiting) this.#waiting.add(connection);
    else this.#waiting.delete(connection);
  }

  /** One row: a line for each open connection, a dotted one for one that waits, and `sign` for this one. */
  row(connection: number | undefined, sign: string): string {
    return this.#columns
      .map((each) => {
        if (each === undefined) return " ";
        if (each === connection) return sign;
        return this.#waiting.has(each) ? "┊" : "│";
      })
      .join("");
  }
}
