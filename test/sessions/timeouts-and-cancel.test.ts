/** How a wait ends that does not get what it waits for. */
import { describeScripts } from "./support/suite.ts";

describeScripts("timeouts and cancel", {
  "lock_timeout ends a wait for a row": `
    setup: create table t (v int); insert into t values (1)
    A: begin                              → BEGIN
    A: update t set v = 2                 → UPDATE 1
    B: set lock_timeout = '700ms'         → SET
    B: update t set v = 3                 → waits for A
    B:                                    → ERROR 55P03 canceling statement due to lock timeout
    B: select v from t                    → 1
    A: commit                             → COMMIT
    B: update t set v = v + 1 returning v → 3
  `,
  "lock_timeout ends a wait for a table": `
    setup: create table t (v int); insert into t values (1)
    A: begin                            → BEGIN
    A: lock table t                     → LOCK TABLE
    B: begin                            → BEGIN
    B: set local lock_timeout = '700ms' → SET
    B: select v from t                  → waits for A
    B:                                  → ERROR 55P03 canceling statement due to lock timeout
    B: rollback                         → ROLLBACK
    A: commit                           → COMMIT
    B: select v from t                  → 1
  `,
  "statement_timeout ends a wait": `
    setup: create table t (v int); insert into t values (1)
    A: begin                           → BEGIN
    A: update t set v = 2              → UPDATE 1
    B: set statement_timeout = '700ms' → SET
    B: begin                           → BEGIN
    B: update t set v = 3              → waits for A
    B:                                 → ERROR 57014 canceling statement due to statement timeout
    B: rollback                        → ROLLBACK
    A: commit                          → COMMIT
    B: select v from t                 → 2
  `,
  "the shorter of two timeouts counts": `
    setup: create table t (v int); insert into t values (1)
    A: begin                           → BEGIN
    A: update t set v = 2              → UPDATE 1
    B: set statement_timeout = '700ms' → SET
    B: set lock_timeout = '60s'        → SET
    B: update t set v = 3              → waits for A
    B:                                 → ERROR 57014 canceling statement due to statement timeout
    B: set statement_timeout = '60s'   → SET
    B: set lock_timeout = '700ms'      → SET
    B: update t set v = 3              → waits for A
    B:                                 → ERROR 55P03 canceling statement due to lock timeout
    A: commit                          → COMMIT
  `,
  "statement_timeout ends a statement that sleeps or computes": `
    A: set statement_timeout = '200ms'                     → SET
    A: select pg_sleep(30)                                 → ERROR 57014 canceling statement due to statement timeout
    A: select count(*) from generate_series(1, 1000000000) → ERROR 57014 canceling statement due to statement timeout
    A: do $$ begin loop perform 1; end loop; end $$        → ERROR 57014 canceling statement due to statement timeout
    B: select 1                                            → 1
    A: select 1                                            → 1
  `,
  "a statement that sleeps does not stop the others": `
    setup: create table t (v int); insert into t values (1)
    A&: select pg_sleep(1.5)
    B: update t set v = 2    → UPDATE 1
    C: select v from t       → 2
    B: select 1              → 1
    A:                       → ''
  `,
  "a cancel request ends a wait": `
    setup: create table t (v int); insert into t values (1)
    A: begin              → BEGIN
    A: update t set v = 2 → UPDATE 1
    B: begin              → BEGIN
    B: update t set v = 3 → waits for A
    B! cancel             → sent
    B:                    → ERROR 57014 canceling statement due to user request
    B: rollback           → ROLLBACK
    B: select v from t    → 1
    A: commit             → COMMIT
  `,
  "a cancel request ends a sleep, and does nothing to an idle session": `
    A&: select pg_sleep(30)
    A! cancel               → sent
    A:                      → ERROR 57014 canceling statement due to user request
    A! cancel               → sent
    A: select 1             → 1
  `,
  "pg_cancel_backend ends a wait": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                                → BEGIN
    A: update t set v = 2                                   → UPDATE 1
    B: update t set v = 3                                   → waits for A
    C: update t set v = 4                                   → waits for B
    A: select pg_cancel_backend(<B>) from (select 1) as pid → t
    B:                                                      → ERROR 57014 canceling statement due to user request
    A: commit                                               → COMMIT
    C:                                                      → UPDATE 1
    A: select v from t                                      → 4
  `,
  "pg_terminate_backend ends a session, and its locks go": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                                   → BEGIN
    A: update t set v = 2                                      → UPDATE 1
    B: update t set v = 3                                      → waits for A
    C: select pg_terminate_backend(<A>) from (select 1) as pid → t
    B:                                                         → UPDATE 1
    A:                                                         → FATAL 57P01 terminating connection due to administrator command
    C: select v from t                                         → 3
  `,
  "pg_terminate_backend ends a session that waits": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                                   → BEGIN
    A: update t set v = 2                                      → UPDATE 1
    B: update t set v = 3                                      → waits for A
    C: select pg_terminate_backend(<B>) from (select 1) as pid → t
    B:                                                         → FATAL 57P01 terminating connection due to administrator command / closed
    A: commit                                                  → COMMIT
    C: select v from t                                         → 2
  `,
  "idle_in_transaction_session_timeout ends the one who holds the others up": `
    setup: create table t (v int); insert into t values (1)
    A: set idle_in_transaction_session_timeout = '700ms' → SET
    A: begin                                             → BEGIN
    A: update t set v = 2                                → UPDATE 1
    B: update t set v = 3                                → waits for A
    B:                                                   → UPDATE 1
    A:                                                   → FATAL 25P03 terminating connection due to idle-in-transaction timeout
    B: select v from t                                   → 3
  `,
  "transaction_timeout ends a transaction that waits": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                   → BEGIN
    A: update t set v = 2                      → UPDATE 1
    B: begin                                   → BEGIN
    B: set local transaction_timeout = '700ms' → SET
    B: update t set v = 3                      → waits for A
    B:                                         → FATAL 25P04 terminating connection due to transaction timeout / closed
    A: commit                                  → COMMIT
    C: select v from t                         → 2
  `,
});
