/**
 * Prepared transactions: how many there may be at once.
 *
 * Why here: a directory with prepared transactions opens only where there may be as many, whatever the sessions are.
 */
/** PostgreSQL's `max_prepared_transactions`, whose default is 0. */
export const maxPreparedTransactions = 16;
