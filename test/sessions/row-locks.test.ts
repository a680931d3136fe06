/** Who may lock a row beside whom, and what those do who may not. */
import { describeScripts } from "./support/suite.ts";

describeScripts("row locks", {
  "each mode beside FOR UPDATE": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                 → BEGIN
    A: select v from t where id = 1 for update               → 10
    B: select v from t where id = 1 for key share nowait     → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for share nowait         → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for no key update nowait → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for update nowait        → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1                          → 10
    A: commit                                                → COMMIT
    B: select v from t where id = 1 for update nowait        → 10
  `,
  "each mode beside FOR NO KEY UPDATE": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                 → BEGIN
    A: select v from t where id = 1 for no key update        → 10
    B: select v from t where id = 1 for key share nowait     → 10
    B: select v from t where id = 1 for share nowait         → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for no key update nowait → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for update nowait        → ERROR 55P03 could not obtain lock on row in relation "t"
    A: rollback                                              → ROLLBACK
  `,
  "each mode beside FOR SHARE": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                 → BEGIN
    A: select v from t where id = 1 for share                → 10
    B: select v from t where id = 1 for key share nowait     → 10
    B: select v from t where id = 1 for share nowait         → 10
    B: select v from t where id = 1 for no key update nowait → ERROR 55P03 could not obtain lock on row in relation "t"
    B: select v from t where id = 1 for update nowait        → ERROR 55P03 could not obtain lock on row in relation "t"
    A: rollback                                              → ROLLBACK
  `,
  "each mode beside FOR KEY SHARE": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                 → BEGIN
    A: select v from t where id = 1 for key share            → 10
    B: select v from t where id = 1 for share nowait         → 10
    B: select v from t where id = 1 for no key update nowait → 10
    B: update t set v = 11 where id = 1                      → UPDATE 1
    B: select v from t where id = 1 for update nowait        → ERROR 55P03 could not obtain lock on row in relation "t"
    A: rollback                                              → ROLLBACK
  `,
  "a writer waits for every sharer": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                           → BEGIN
    B: begin                           → BEGIN
    A: select v from t for share       → 10
    B: select v from t for share       → 10
    C: update t set v = 11 returning v → waits for A
    A: commit                          → COMMIT
    B: commit                          → COMMIT
    C:                                 → 11
  `,
  // With a new version of the row at each commit PostgreSQL itself gives no order: the waiters race for the new version.
  "a row that is only locked goes to the waiters in the order in which they asked": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                             → BEGIN
    B: begin                             → BEGIN
    C: begin                             → BEGIN
    D: begin                             → BEGIN
    A: select v from t for update        → 10
    B: select v from t for update        → waits for A
    C: select v from t for no key update → waits for B
    D: select v from t for update        → waits for B, C
    A: commit                            → COMMIT
    B:                                   → 10
    B: commit                            → COMMIT
    C:                                   → 10
    C: rollback                          → ROLLBACK
    D:                                   → 10
    D: commit                            → COMMIT
  `,
  "SKIP LOCKED hands out each row once": `
    setup: create table jobs (id int primary key); insert into jobs values (1), (2), (3)
    A: begin                                                     → BEGIN
    B: begin                                                     → BEGIN
    C: begin                                                     → BEGIN
    D: begin                                                     → BEGIN
    A: delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id → 1
    B: delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id → 2
    C: delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id → 3
    D: delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id → DELETE 0
    B: rollback                                                  → ROLLBACK
    D: delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id → 2
    A: commit                                                    → COMMIT
    C: commit                                                    → COMMIT
    D: commit                                                    → COMMIT
    A: select count(*) from jobs                                 → 0
  `,
  "a reader never waits for a writer": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                         → BEGIN
    A: delete from t                                 → DELETE 1
    B: select v from t                               → 10
    B: select count(*) from t for update skip locked → ERROR 0A000 FOR UPDATE is not allowed with aggregate functions
    B: select v from t for update skip locked        → SELECT 0
    A: commit                                        → COMMIT
    B: select v from t                               → SELECT 0
  `,
  "FOR UPDATE sees the version that it waited for": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10), (2, 20)
    A: begin                                      → BEGIN
    A: update t set v = 11 where id = 1           → UPDATE 1
    A: delete from t where id = 2                 → DELETE 1
    B: select id, v from t order by id for update → waits for A
    A: commit                                     → COMMIT
    B:                                            → 1|11
  `,
  "a child row keeps its parent from being deleted but not from being changed": `
    setup: create table parent (id int primary key, v int); insert into parent values (1, 1)
    setup: create table child (id int primary key, parent int references parent);
    A: begin                                → BEGIN
    A: insert into child values (1, 1)      → INSERT 0 1
    B: update parent set v = 2 where id = 1 → UPDATE 1
    B: delete from parent where id = 1      → waits for A
    A: commit                               → COMMIT
    B:                                      → ERROR 23503 update or delete on table "parent" violates foreign key constraint "child_parent_fkey" on table "child" (Key (id)=(1) is still referenced from table "child".)
  `,
  "a savepoint gives its row locks back": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                   → BEGIN
    A: savepoint s             → SAVEPOINT
    A: update t set v = 11     → UPDATE 1
    B: update t set v = 12     → waits for A
    A: rollback to savepoint s → ROLLBACK
    B:                         → UPDATE 1
    A: select v from t         → 12
    A: commit                  → COMMIT
  `,
});
