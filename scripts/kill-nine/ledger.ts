/**
 * What the clients know about the rows: which were sent, and for which the COMMIT was answered.
 *
 * Owns: these facts, and the comparison with a database. Does not own: writing or reading rows.
 * Invariant: a transaction is `answered` only after its client has seen the answer of its COMMIT.
 */

/** A transaction of one writer: its rows have the numbers from `first` to `first + count - 1`. */
export interface SentTransaction {
  readonly writer: number;
  readonly first: number;
  readonly count: number;
  answered: boolean;
}

/** A row as it is in the database. */
export interface FoundRow {
  readonly writer: number;
  readonly n: number;
}

/** The facts of all writers since the last `forget`. */
export class Ledger {
  #sent = new Set<SentTransaction>();

  /** Notes a transaction before its first byte is sent. */
  send(writer: number, first: number, count: number): SentTransaction {
    const transaction = { writer, first, count, answered: false };
    this.#sent.add(transaction);
    return transaction;
  }

  /** For a transaction that is known not to have been committed: from now on nobody sent its rows. */
  withdraw(transaction: SentTransaction): void {
    this.#sent.delete(transaction);
  }

  /** How many rows were sent, and how many of those were answered. */
  counts(): { sent: number; answered: number } {
    const all = [...this.#sent];
    const rows = (transactions: readonly SentTransaction[]) => transactions.reduce((sum, { count }) => sum + count, 0);
    return { sent: rows(all), answered: rows(all.filter(({ answered }) => answered)) };
  }

  /**
   * Compares with all rows of the database and returns what is wrong, in sentences: an answered row that is missing, part
   * of a transaction, a row that nobody sent. What is there of the others is known from then on.
   */
  check(found: readonly FoundRow[]): string[] {
    const wrong: string[] = [];
    const there = new Set(found.map(({ writer, n }) => `${writer}/${n}`));
    const kept = new Set<SentTransaction>();
    for (const transaction of this.#sent) {
      const { writer, first, count, answered } = transaction;
      let present = 0;
      for (let n = first; n < first + count; n++) if (there.delete(`${writer}/${n}`)) present++;
      const name = `writer ${writer}, rows ${first} to ${first + count - 1}`;
      if (answered && present < count) wrong.push(`${name}: answered, and ${count - present} of ${count} are missing`);
      else if (present > 0 && present < count) wrong.push(`${name}: ${present} of ${count} are there`);
      if (present > 0) kept.add({ ...transaction, answered: true });
    }
    if (there.size > 0) wrong.push(`${there.size} rows that nobody sent, such as ${[...there][0]}`);
    this.#sent = kept;
    return wrong;
  }

  /** For an empty table. */
  forget(): void {
    this.#sent = new Set();
  }
}
