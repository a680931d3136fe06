/** Waiting for a key, for a table, for an object that is being changed. */
import { describeScripts } from "./support/suite.ts";

describeScripts("waits for keys and objects", {
  "a VACUUM that is to go slowly": `
    setup: create table t as select generate_series(1, 3000) n; delete from t
    A: set vacuum_cost_delay = 1; set vacuum_cost_limit = 1 → SET / SET
    A: vacuum t                                             → VACUUM
    A: select pg_relation_size('t')                         → 0
  `,
  "a unique key waits for the one who inserted it first, who commits": `
    setup: create table t (id int primary key, v text)
    A: begin                           → BEGIN
    A: insert into t values (1, 'A')   → INSERT 0 1
    B: insert into t values (1, 'B')   → waits for A
    C: insert into t values (2, 'C')   → INSERT 0 1
    A: commit                          → COMMIT
    B:                                 → ERROR 23505 duplicate key value violates unique constraint "t_pkey" (Key (id)=(1) already exists.)
    B: select id, v from t order by id → 1|A; 2|C
  `,
  "a unique key waits for the one who inserted it first, who rolls back": `
    setup: create table t (id int primary key, v text)
    A: begin                         → BEGIN
    A: insert into t values (1, 'A') → INSERT 0 1
    B: insert into t values (1, 'B') → waits for A
    A: rollback                      → ROLLBACK
    B:                               → INSERT 0 1
    A: select v from t               → B
  `,
  "ON CONFLICT waits too": `
    setup: create table t (id int primary key, n int)
    A: begin                                                     → BEGIN
    A: insert into t values (1, 1) on conflict (id) do update set n = t.n + 10 → INSERT 0 1
    B: insert into t values (1, 1) on conflict (id) do update set n = t.n + 10 returning n → waits for A
    C: insert into t values (1, 1) on conflict do nothing        → waits for A
    A: commit                                                    → COMMIT
    B:                                                           → 11
    C:                                                           → INSERT 0 0
    A: select n from t                                           → 11
  `,
  "a deferred unique key waits at the commit": `
    setup: create table t (id int, constraint one unique (id) deferrable initially deferred)
    A: begin                    → BEGIN
    B: begin                    → BEGIN
    A: insert into t values (1) → INSERT 0 1
    B: insert into t values (1) → INSERT 0 1
    A: commit                   → COMMIT
    B: commit                   → ERROR 23505 duplicate key value violates unique constraint "one" (Key (id)=(1) already exists.)
    B: select count(*) from t   → 1
  `,
  "an exclusion constraint waits": `
    setup: create table r (during int4range, exclude using gist (during with &&))
    A: begin                          → BEGIN
    A: insert into r values ('[1,5)') → INSERT 0 1
    B: insert into r values ('[4,8)') → waits for A
    A: commit                         → COMMIT
    B:                                → ERROR 23P01 conflicting key value violates exclusion constraint "r_during_excl" (Key (during)=([4,8)) conflicts with existing key (during)=([1,5)).)
  `,
  "a foreign key waits for the parent that is being deleted": `
    setup: create table parent (id int primary key); create table child (parent int references parent); insert into parent values (1)
    A: begin                           → BEGIN
    A: delete from parent where id = 1 → DELETE 1
    B: insert into child values (1)    → waits for A
    A: commit                          → COMMIT
    B:                                 → ERROR 23503 insert or update on table "child" violates foreign key constraint "child_parent_fkey" (Key (parent)=(1) is not present in table "parent".)
  `,
  "ALTER TABLE waits for a reader, and the next reader behind it": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                    → BEGIN
    A: select * from t                          → 1
    B: alter table t add column w int default 2 → waits for A
    C: select * from t                          → waits for B
    A: commit                                   → COMMIT
    B:                                          → ALTER TABLE
    C:                                          → 1|2
  `,
  "LOCK TABLE modes": `
    setup: create table t (v int)
    A: begin                                    → BEGIN
    A: lock table t in share row exclusive mode → LOCK TABLE
    B: begin                                    → BEGIN
    B: lock table t in share mode nowait        → ERROR 55P03 could not obtain lock on relation "t"
    B: rollback                                 → ROLLBACK
    B: lock table t in row share mode           → ERROR 25P01 LOCK TABLE can only be used in transaction blocks
    B: begin                                    → BEGIN
    B: lock table t in row share mode nowait    → LOCK TABLE
    B: select count(*) from t                   → 0
    B: commit                                   → COMMIT
    B: insert into t values (1)                 → waits for A
    A: commit                                   → COMMIT
    B:                                          → INSERT 0 1
  `,
  "DDL is transactional, and others wait to see what becomes of it": `
    setup: create table t (v int)
    A: begin                      → BEGIN
    A: drop table t               → DROP TABLE
    A: create table t (v text)    → CREATE TABLE
    B: insert into t values ('x') → waits for A
    A: rollback                   → ROLLBACK
    B:                            → ERROR 22P02 invalid input syntax for type integer: "x"
    B: insert into t values (1)   → INSERT 0 1
  `,
  "two sessions create the same table": `
    A: begin                                             → BEGIN
    A: create table t (v int)                            → CREATE TABLE
    B: create table if not exists t (v int)              → waits for A
    C: select count(*) from pg_class where relname = 't' → 0
    A: commit                                            → COMMIT
    B:                                                   → ERROR 23505 duplicate key value violates unique constraint "pg_type_typname_nsp_index" (Key (typname, typnamespace)=(t, #) already exists.)
  `,
  "TRUNCATE waits for a writer and is rolled back": `
    setup: create table t (v int); insert into t values (1)
    A: begin                    → BEGIN
    A: insert into t values (2) → INSERT 0 1
    B: begin                    → BEGIN
    B: truncate t               → waits for A
    A: commit                   → COMMIT
    B:                          → TRUNCATE TABLE
    C: select count(*) from t   → waits for B
    B: rollback                 → ROLLBACK
    C:                          → 2
  `,
  "CREATE INDEX lets readers go on, CONCURRENTLY waits for writers": `
    setup: create table t (v int); insert into t values (1)
    A: begin                                                     → BEGIN
    A: insert into t values (2)                                  → INSERT 0 1
    B: create index i on t (v)                                   → waits for A
    C: select count(*) from t                                    → 1
    A: commit                                                    → COMMIT
    B:                                                           → CREATE INDEX
    A: begin                                                     → BEGIN
    A: insert into t values (3)                                  → INSERT 0 1
    B: create index concurrently j on t (v)                      → waits for A
    C: insert into t values (4)                                  → INSERT 0 1
    A: commit                                                    → COMMIT
    B:                                                           → CREATE INDEX
    C: select count(*) from pg_index where indisvalid and indrelid = 't'::regclass → 2
  `,
  "REFRESH MATERIALIZED VIEW and its readers": `
    setup: create table t (v int); insert into t values (1); create materialized view m as select sum(v) as s from t; create unique index on m (s)
    A: begin                                    → BEGIN
    A: insert into t values (2)                 → INSERT 0 1
    A: refresh materialized view m              → REFRESH MATERIALIZED VIEW
    B: select s from m                          → waits for A
    A: commit                                   → COMMIT
    B:                                          → 3
    A: begin                                    → BEGIN
    A: insert into t values (3)                 → INSERT 0 1
    A: refresh materialized view concurrently m → REFRESH MATERIALIZED VIEW
    B: select s from m                          → 3
    A: commit                                   → COMMIT
    B: select s from m                          → 6
  `,
  "VACUUM beside an open transaction": `
    setup: create table t (v int); insert into t values (1), (2)
    A: begin                          → BEGIN
    A: update t set v = 3 where v = 1 → UPDATE 1
    B: vacuum t                       → VACUUM
    B: vacuum full t                  → waits for A
    A: commit                         → COMMIT
    B:                                → VACUUM
    B: select v from t order by v     → 2; 3
  `,
});
