/** What a transaction sees and loses at each isolation level. */
import { describeScripts } from "./support/suite.ts";

describeScripts("isolation levels", {
  "read committed never sees what is not committed": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin               → BEGIN
    A: update t set v = 11 → UPDATE 1
    B: select v from t     → 10
    A: rollback            → ROLLBACK
    B: select v from t     → 10
  `,
  "read committed sees what was committed between two statements": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    B: begin                        → BEGIN
    B: select v from t              → 10
    A: update t set v = 11          → UPDATE 1
    B: select v from t              → 11
    A: insert into t values (2, 20) → INSERT 0 1
    B: select count(*) from t       → 2
    B: commit                       → COMMIT
  `,
  "read committed re-checks the row that it waited for": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10), (2, 20)
    A: begin                               → BEGIN
    A: update t set v = v + 5 where id = 1 → UPDATE 1
    B: update t set v = v * 2 where v < 12 → waits for A
    A: commit                              → COMMIT
    B:                                     → UPDATE 0
    A: select id, v from t order by id     → 1|15; 2|20
  `,
  "read committed goes on with the new version of a row": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                             → BEGIN
    A: update t set v = v + 1 where id = 1               → UPDATE 1
    B: update t set v = v + 100 where id = 1 returning v → waits for A
    A: commit                                            → COMMIT
    B:                                                   → 111
  `,
  "repeatable read keeps its snapshot": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    B: begin isolation level repeatable read → BEGIN
    B: select count(*), sum(v) from t        → 1|10
    A: insert into t values (2, 20)          → INSERT 0 1
    A: update t set v = 11 where id = 1      → UPDATE 1
    B: select count(*), sum(v) from t        → 1|10
    B: commit                                → COMMIT
    B: select count(*), sum(v) from t        → 2|31
  `,
  "repeatable read takes its snapshot with the first statement, not with BEGIN": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    B: begin isolation level repeatable read → BEGIN
    A: update t set v = 11                   → UPDATE 1
    B: select v from t                       → 11
    B: commit                                → COMMIT
  `,
  "repeatable read refuses a lost update after waiting": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin isolation level repeatable read → BEGIN
    B: begin isolation level repeatable read → BEGIN
    A: select v from t                       → 10
    B: select v from t                       → 10
    A: update t set v = 11                   → UPDATE 1
    B: update t set v = 12                   → waits for A
    A: commit                                → COMMIT
    B:                                       → ERROR 40001 could not serialize access due to concurrent update
    B: select 1                              → ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block
    B: rollback                              → ROLLBACK
    B: select v from t                       → 11
  `,
  "repeatable read refuses a row that was changed before": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    B: begin isolation level repeatable read → BEGIN
    B: select v from t                       → 10
    A: update t set v = 11                   → UPDATE 1
    B: update t set v = 12                   → ERROR 40001 could not serialize access due to concurrent update
    B: rollback                              → ROLLBACK
  `,
  "repeatable read goes on when the one it waited for rolls back": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                 → BEGIN
    A: update t set v = 11                   → UPDATE 1
    B: begin isolation level repeatable read → BEGIN
    B: select v from t                       → 10
    B: update t set v = 12                   → waits for A
    A: rollback                              → ROLLBACK
    B:                                       → UPDATE 1
    B: commit                                → COMMIT
    A: select v from t                       → 12
  `,
  "repeatable read allows write skew": `
    setup: create table d (name text primary key, on_call bool); insert into d values ('ann', true), ('bob', true)
    A: begin isolation level repeatable read           → BEGIN
    B: begin isolation level repeatable read           → BEGIN
    A: select count(*) from d where on_call            → 2
    B: select count(*) from d where on_call            → 2
    A: update d set on_call = false where name = 'ann' → UPDATE 1
    B: update d set on_call = false where name = 'bob' → UPDATE 1
    A: commit                                          → COMMIT
    B: commit                                          → COMMIT
    A: select count(*) from d where on_call            → 0
  `,
});
