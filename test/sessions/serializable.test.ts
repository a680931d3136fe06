/** Serializable snapshot isolation: what is refused, and what is not. */
import { describeScripts } from "./support/suite.ts";

describeScripts("serializable", {
  "write skew is refused at the commit": `
    setup: create table d (name text primary key, on_call bool); insert into d values ('ann', true), ('bob', true)
    A: begin isolation level serializable              → BEGIN
    B: begin isolation level serializable              → BEGIN
    A: select count(*) from d where on_call            → 2
    B: select count(*) from d where on_call            → 2
    A: update d set on_call = false where name = 'ann' → UPDATE 1
    B: update d set on_call = false where name = 'bob' → UPDATE 1
    A: commit                                          → COMMIT
    B: commit                                          → ERROR 40001 could not serialize access due to read/write dependencies among transactions (Reason code: Canceled on identification as a pivot, during commit attempt.)
    B: select count(*) from d where on_call            → 1
  `,
  "write skew is refused at the statement": `
    setup: create table d (name text primary key, on_call bool); insert into d values ('ann', true), ('bob', true)
    A: begin isolation level serializable              → BEGIN
    B: begin isolation level serializable              → BEGIN
    A: select count(*) from d where on_call            → 2
    B: select count(*) from d where on_call            → 2
    A: update d set on_call = false where name = 'ann' → UPDATE 1
    A: commit                                          → COMMIT
    B: update d set on_call = false where name = 'bob' → ERROR 40001 could not serialize access due to read/write dependencies among transactions (Reason code: Canceled on identification as a pivot, during write.)
    B: rollback                                        → ROLLBACK
  `,
  "phantoms count too": `
    setup: create table b (id serial primary key, room int);
    A: begin isolation level serializable    → BEGIN
    B: begin isolation level serializable    → BEGIN
    A: select count(*) from b where room = 7 → 0
    B: select count(*) from b where room = 7 → 0
    A: insert into b (room) values (7)       → INSERT 0 1
    B: insert into b (room) values (7)       → INSERT 0 1
    A: commit                                → COMMIT
    B: commit                                → ERROR 40001 could not serialize access due to read/write dependencies among transactions (Reason code: Canceled on identification as a pivot, during commit attempt.)
    A: select count(*) from b                → 1
  `,
  "transactions that touch different rows both commit": `
    setup: create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 2000) i; analyze t
    A: begin isolation level serializable → BEGIN
    B: begin isolation level serializable → BEGIN
    A: select v from t where id = 1       → 1
    B: select v from t where id = 1900    → 1900
    A: update t set v = 0 where id = 1    → UPDATE 1
    B: update t set v = 0 where id = 1900 → UPDATE 1
    A: commit                             → COMMIT
    B: commit                             → COMMIT
  `,
  "a reader can be what makes it an anomaly": `
    setup: create table t (id text primary key, v int); insert into t values ('x', 0), ('y', 0)
    A: begin isolation level serializable           → BEGIN
    B: begin isolation level serializable           → BEGIN
    B: select id, v from t order by id              → x|0; y|0
    A: update t set v = 20 where id = 'y'           → UPDATE 1
    A: commit                                       → COMMIT
    C: begin isolation level serializable read only → BEGIN
    C: select id, v from t order by id              → x|0; y|20
    C: commit                                       → COMMIT
    B: update t set v = -11 where id = 'x'          → ERROR 40001 could not serialize access due to read/write dependencies among transactions (Reason code: Canceled on identification as a pivot, during write.)
    B: rollback                                     → ROLLBACK
  `,
  "a deferrable reader waits for a safe snapshot": `
    setup: create table t (id int primary key, v int); insert into t values (1, 1)
    A: begin isolation level serializable                      → BEGIN
    A: select v from t                                         → 1
    B: begin isolation level serializable read only deferrable → BEGIN
    B: select v from t                                         → waits for A
    A: update t set v = 2                                      → UPDATE 1
    A: commit                                                  → COMMIT
    B:                                                         → 1
    B: commit                                                  → COMMIT
  `,
});
