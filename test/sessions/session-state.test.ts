/** What belongs to one session: temporary tables, sequences' last values, prepared statements, cursors. */
import { describeScripts } from "./support/suite.ts";

describeScripts("session state", {
  "each session has its own temporary table of one name": `
    A: create temp table t (v int)                       → CREATE TABLE
    B: create temp table t (v text)                      → CREATE TABLE
    A: insert into t values (1)                          → INSERT 0 1
    B: insert into t values ('b')                        → INSERT 0 1
    A: select v from t                                   → 1
    B: select v from t                                   → b
    C: select v from t                                   → ERROR 42P01 relation "t" does not exist
    C: select count(*) from pg_class where relname = 't' → 2
    A: drop table t                                      → DROP TABLE
    A: select v from t                                   → ERROR 42P01 relation "t" does not exist
    B: select v from t                                   → b
  `,
  "a temporary table shadows a table of the schema, for its session": `
    setup: create table t (v text); insert into t values ('schema')
    A: create temp table t (v text)       → CREATE TABLE
    A: insert into t values ('temporary') → INSERT 0 1
    A: select v from t                    → temporary
    A: select v from public.t             → schema
    B: select v from t                    → schema
    A: discard temp                       → DISCARD TEMP
    A: select v from t                    → schema
  `,
  "ON COMMIT DROP and DELETE ROWS": `
    A: begin                                             → BEGIN
    A: create temp table d (v int) on commit drop        → CREATE TABLE
    A: create temp table e (v int) on commit delete rows → CREATE TABLE
    A: insert into e values (1)                          → INSERT 0 1
    A: select count(*) from e                            → 1
    A: commit                                            → COMMIT
    A: select count(*) from e                            → 0
    A: select count(*) from d                            → ERROR 42P01 relation "d" does not exist
    A: begin                                             → BEGIN
    A: insert into e values (2)                          → INSERT 0 1
    A: prepare transaction 'x'                           → ERROR 0A000 cannot PREPARE a transaction that has operated on temporary objects
  `,
  "temporary tables go with their session": `
    A: create temp table t (v int)                       → CREATE TABLE
    B: select count(*) from pg_class where relname = 't' → 1
    A! leave                                             → gone
    B: select count(*) from pg_class where relname = 't' → 0
    A! connect                                           → connected
    A: create temp table t (v int)                       → CREATE TABLE
    A! vanish                                            → gone
    B: select count(*) from pg_class where relname = 't' → 0
  `,
  "currval and lastval are of the session": `
    setup: create sequence s; create table t (id serial primary key, v int)
    A: select currval('s')                       → ERROR 55000 currval of sequence "s" is not yet defined in this session
    A: select nextval('s')                       → 1
    B: select nextval('s')                       → 2
    B: select nextval('s')                       → 3
    A: select currval('s'), lastval()            → 1|1
    B: select currval('s')                       → 3
    A: insert into t (v) values (1) returning id → 1
    B: insert into t (v) values (1) returning id → 2
    A: select lastval(), currval('t_id_seq')     → 1|1
    C: select lastval()                          → ERROR 55000 lastval is not yet defined in this session
    A: discard sequences                         → DISCARD SEQUENCES
    A: select lastval()                          → ERROR 55000 lastval is not yet defined in this session
  `,
  "nextval is not rolled back and never waits": `
    setup: create sequence s
    A: begin                   → BEGIN
    A: select nextval('s')     → 1
    B: select nextval('s')     → 2
    A: rollback                → ROLLBACK
    A: select nextval('s')     → 3
    A: begin                   → BEGIN
    A: select setval('s', 100) → 100
    B: select nextval('s')     → 101
    A: rollback                → ROLLBACK
    B: select nextval('s')     → 102
  `,
  "cached sequence values are of the session": `
    setup: create sequence s cache 5
    A: select nextval('s') → 1
    B: select nextval('s') → 6
    A: select nextval('s') → 2
    B: select nextval('s') → 7
  `,
  "prepared statements of SQL are of the session": `
    A: prepare p as select 'A'                           → PREPARE
    B: prepare p as select 'B'                           → PREPARE
    A: execute p                                         → A
    B: execute p                                         → B
    C: execute p                                         → ERROR 26000 prepared statement "p" does not exist
    A: deallocate p                                      → DEALLOCATE
    A: execute p                                         → ERROR 26000 prepared statement "p" does not exist
    B: execute p                                         → B
    B: select name, from_sql from pg_prepared_statements → p|t
    A: select count(*) from pg_prepared_statements       → 0
  `,
  "prepared statements of the protocol are of the session": `
    A! parse p select 'A' || $1                          → parsed
    B! parse p select 'B' || $1                          → parsed
    A! run p x                                           → Ax
    B! run p y                                           → By
    C! run p z                                           → ERROR 26000 prepared statement "p" does not exist
    A! parse p select 1                                  → ERROR 42P05 prepared statement "p" already exists
    A: select name, from_sql from pg_prepared_statements → p|f
    A: discard all                                       → DISCARD ALL
    A! run p x                                           → ERROR 26000 prepared statement "p" does not exist
    B! run p y                                           → By
  `,
  "a prepared statement sees another session's DDL": `
    setup: create table t (v int); insert into t values (1)
    A: prepare p as select * from t             → PREPARE
    A: execute p                                → 1
    B: alter table t add column w int default 2 → ALTER TABLE
    A: execute p                                → ERROR 0A000 cached plan must not change result type
    B: alter table t drop column w              → ALTER TABLE
    A: execute p                                → 1
    B: create index on t (v)                    → CREATE INDEX
    A: execute p                                → 1
    B: drop table t                             → DROP TABLE
    A: execute p                                → ERROR 42P01 relation "t" does not exist
  `,
  "cursors: WITH HOLD outlives its transaction, the other does not": `
    setup: create table t (v int); insert into t values (1), (2), (3)
    A: begin                                                     → BEGIN
    A: declare h cursor with hold for select v from t order by v → DECLARE CURSOR
    A: declare c cursor for select v from t order by v           → DECLARE CURSOR
    A: fetch 1 from h                                            → 1
    A: fetch 1 from c                                            → 1
    B: fetch 1 from h                                            → ERROR 34000 cursor "h" does not exist
    A: commit                                                    → COMMIT
    B: delete from t                                             → DELETE 3
    A: fetch 1 from c                                            → ERROR 34000 cursor "c" does not exist
    A: fetch all from h                                          → 2; 3
    A: select name, is_holdable from pg_cursors                  → h|t
    B: select count(*) from pg_cursors                           → 0
    A: close h                                                   → CLOSE CURSOR
  `,
  "a cursor keeps its snapshot": `
    setup: create table t (v int); insert into t values (1), (2), (3)
    A: begin                                           → BEGIN
    A: declare c cursor for select v from t order by v → DECLARE CURSOR
    A: fetch 1 from c                                  → 1
    B: update t set v = v * 100                        → UPDATE 3
    A: fetch all from c                                → 2; 3
    A: select sum(v) from t                            → 600
    A: commit                                          → COMMIT
  `,
});
