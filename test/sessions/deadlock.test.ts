/** Cycles of waits: who is chosen, what it is told, and that the others go on. */
import { describeScripts } from "./support/suite.ts";

// The one whose deadlock_timeout is short finds the cycle and is the victim.
describeScripts("deadlock", {
  "two rows in opposite order": `
    setup: create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)
    A: set deadlock_timeout = '100s'    → SET
    B: set deadlock_timeout = '10ms'    → SET
    A: begin                            → BEGIN
    B: begin                            → BEGIN
    A: update t set v = 10 where id = 1 → UPDATE 1
    B: update t set v = 20 where id = 2 → UPDATE 1
    A: update t set v = 11 where id = 2 → waits for B
    B: update t set v = 21 where id = 1 → ERROR 40P01 deadlock detected (Process <B> waits for ShareLock on transaction #; blocked by process <A>.; Process <A> waits for ShareLock on transaction #; blocked by process <B>.)
    A:                                  → UPDATE 1
    A: commit                           → COMMIT
    B: rollback                         → ROLLBACK
    A: select id, v from t order by id  → 1|10; 2|11
  `,
  "three sessions in a ring": `
    A: set deadlock_timeout = '100s'   → SET
    B: set deadlock_timeout = '100s'   → SET
    C: set deadlock_timeout = '10ms'   → SET
    A: begin                           → BEGIN
    B: begin                           → BEGIN
    C: begin                           → BEGIN
    A: select pg_advisory_xact_lock(1) → ''
    B: select pg_advisory_xact_lock(2) → ''
    C: select pg_advisory_xact_lock(3) → ''
    A: select pg_advisory_xact_lock(2) → waits for B
    B: select pg_advisory_xact_lock(3) → waits for C
    C: select pg_advisory_xact_lock(1) → ERROR 40P01 deadlock detected (Process <C> waits for ExclusiveLock on advisory lock [5,0,1,1]; blocked by process <A>.; Process <A> waits for ExclusiveLock on advisory lock [5,0,2,1]; blocked by process <B>.; Process <B> waits for ExclusiveLock on advisory lock [5,0,3,1]; blocked by process <C>.)
    B:                                 → ''
    C: rollback                        → ROLLBACK
    B: commit                          → COMMIT
    A:                                 → ''
    A: commit                          → COMMIT
  `,
  "two readers that both want to write": `
    setup: create table t (id int primary key, v int); insert into t values (1, 1)
    A: set deadlock_timeout = '100s' → SET
    B: set deadlock_timeout = '10ms' → SET
    A: begin                         → BEGIN
    B: begin                         → BEGIN
    A: select v from t for share     → 1
    B: select v from t for share     → 1
    A: update t set v = 2            → waits for B
    B: update t set v = 3            → ERROR 40P01 deadlock detected (Process <B> waits for ShareLock on transaction #; blocked by process <A>.; Process <A> waits for ShareLock on transaction #; blocked by process <B>.)
    A:                               → UPDATE 1
    B: rollback                      → ROLLBACK
    A: commit                        → COMMIT
    A: select v from t               → 2
  `,
  "table locks": `
    setup: create table t (id int); create table u (id int)
    A: set deadlock_timeout = '100s' → SET
    B: set deadlock_timeout = '10ms' → SET
    A: begin                         → BEGIN
    B: begin                         → BEGIN
    A: lock table t                  → LOCK TABLE
    B: lock table u                  → LOCK TABLE
    A: select * from u               → waits for B
    B: select * from t               → ERROR 40P01 deadlock detected (Process <B> waits for AccessShareLock on relation # of database #; blocked by process <A>.; Process <A> waits for AccessShareLock on relation # of database #; blocked by process <B>.)
    A:                               → SELECT 0
    A: commit                        → COMMIT
    B: rollback                      → ROLLBACK
  `,
  "a victim inside a function can catch it": `
    setup: create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)
    setup: create function try_update(which int) returns text language plpgsql as $$ begin update t set v = v + 100 where id = which; return 'updated'; exception when deadlock_detected then return 'caught ' || sqlstate; end $$
    A: set deadlock_timeout = '100s'    → SET
    B: set deadlock_timeout = '10ms'    → SET
    A: begin                            → BEGIN
    B: begin                            → BEGIN
    A: update t set v = 10 where id = 1 → UPDATE 1
    B: update t set v = 20 where id = 2 → UPDATE 1
    A: update t set v = 11 where id = 2 → waits for B
    B: select try_update(1)             → caught 40P01
    B: commit                           → COMMIT
    A:                                  → UPDATE 1
    A: commit                           → COMMIT
    A: select id, v from t order by id  → 1|10; 2|11
  `,
});
