/** Two-phase commit, large objects, COPY, and what becomes of a transaction whose client goes. */
import { describeScripts } from "./support/suite.ts";

describeScripts("transactions", {
  "a prepared transaction keeps its locks until anybody commits it": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                    → BEGIN
    A: update t set v = 11                      → UPDATE 1
    A: prepare transaction 'one'                → PREPARE TRANSACTION
    A: select v from t                          → 10
    B: select gid, owner from pg_prepared_xacts → one|postgres
    B: select v from t for update nowait        → ERROR 55P03 could not obtain lock on row in relation "t"
    C: commit prepared 'one'                    → COMMIT PREPARED
    B: select v from t for update nowait        → 11
    B: select count(*) from pg_prepared_xacts   → 0
    C: commit prepared 'one'                    → ERROR 42704 prepared transaction with identifier "one" does not exist
  `,
  "a prepared transaction outlives its session": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                        → BEGIN
    A: insert into t values (2, 20) → INSERT 0 1
    A: prepare transaction 'two'    → PREPARE TRANSACTION
    A! leave                        → gone
    B: select count(*) from t       → 1
    B: rollback prepared 'two'      → ROLLBACK PREPARED
    B: select count(*) from t       → 1
    B: rollback prepared 'two'      → ERROR 42704 prepared transaction with identifier "two" does not exist
  `,
  "what cannot be prepared": `
    A: begin                                  → BEGIN
    A: create temp table x (v int)            → CREATE TABLE
    A: prepare transaction 'three'            → ERROR 0A000 cannot PREPARE a transaction that has operated on temporary objects
    A: prepare transaction 'three'            → WARNING 25P01 there is no transaction in progress / ROLLBACK
    A: begin                                  → BEGIN
    A: listen news                            → LISTEN
    A: prepare transaction 'three'            → ERROR 0A000 cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY
    A: select count(*) from pg_prepared_xacts → 0
  `,
  "large objects are transactional and their descriptors of the session": `
    A: begin                                  → BEGIN
    A: select lo_create(70001)                → 70001
    A: select lo_open(70001, 131072)          → 0
    A: select lowrite(0, 'hello')             → 5
    B: select lo_get(70001)                   → ERROR 42704 large object 70001 does not exist
    A: commit                                 → COMMIT
    B: select lo_get(70001)                   → \\x68656c6c6f
    B: begin                                  → BEGIN
    B: select lowrite(0, 'x')                 → ERROR 42704 invalid large-object descriptor: 0
    B: rollback                               → ROLLBACK
    A: begin                                  → BEGIN
    A: select lo_unlink(70001)                → 1
    B: select lo_get(70001)                   → \\x68656c6c6f
    A: rollback                               → ROLLBACK
    B: select encode(lo_get(70001), 'escape') → hello
  `,
  "COPY FROM STDIN that dawdles stops nobody": `
    setup: create table t (v int); create table u (v int)
    A: copy t from stdin          → copy in
    A! data 1                     → sent
    B: insert into u values (1)   → INSERT 0 1
    B: select count(*) from t     → 0
    A! data 2                     → sent
    C: insert into t values (3)   → INSERT 0 1
    A! done                       → COPY 2
    B: select v from t order by v → 1; 2; 3
  `,
  "COPY with a row that cannot be read": `
    setup: create table t (v int)
    A: copy t from stdin      → copy in
    A! data x                 → sent
    A! done                   → ERROR 22P02 invalid input syntax for type integer: "x"
    A: select count(*) from t → 0
  `,
  "the transaction of a client that vanishes is rolled back": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                              → BEGIN
    A: update t set v = 11                → UPDATE 1
    B: update t set v = v + 1 returning v → waits for A
    A! vanish                             → gone
    B:                                    → 11
  `,
  "a client that leaves in a transaction rolls it back": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                             → BEGIN
    A: update t set v = 11               → UPDATE 1
    A! leave                             → gone
    B: select v from t for update nowait → 10
  `,
  "what a session leaves behind is gone when it is": `
    A: set work_mem = '5MB'                         → SET
    A: set role pg_read_all_data                    → SET / {is_superuser=off}
    A: listen news                                  → LISTEN
    A: prepare p as select 1                        → PREPARE
    A: create temp table x (v int)                  → CREATE TABLE
    A: select pg_advisory_lock(1)                   → ''
    A: declare c cursor with hold for select 1      → DECLARE CURSOR
    A! leave                                        → gone
    A! connect                                      → connected
    A: show work_mem                                → 4MB
    A: select current_user                          → postgres
    A: execute p                                    → ERROR 26000 prepared statement "p" does not exist
    A: select count(*) from pg_listening_channels() → 0
    A: select count(*) from pg_cursors              → 0
    A: select count(*) from x                       → ERROR 42P01 relation "x" does not exist
    A: select pg_try_advisory_lock(1)               → t
  `,
  "DISCARD ALL does the same without leaving": `
    A: set work_mem = '5MB'                         → SET
    A: listen news                                  → LISTEN
    A: prepare p as select 1                        → PREPARE
    A: create temp table x (v int)                  → CREATE TABLE
    A: select pg_advisory_lock(1)                   → ''
    A: discard all                                  → DISCARD ALL
    A: show work_mem                                → 4MB
    A: select count(*) from pg_prepared_statements  → 0
    A: select count(*) from pg_listening_channels() → 0
    A: select count(*) from x                       → ERROR 42P01 relation "x" does not exist
    B: select pg_try_advisory_lock(1)               → t
  `,
  "a failed transaction stays failed, for its session only": `
    setup: create table t (v int)
    A: begin                    → BEGIN
    A: insert into t values (1) → INSERT 0 1
    A: select 1 / 0             → ERROR 22012 division by zero
    B: select count(*) from t   → 0
    A: select 2                 → ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block
    B: insert into t values (2) → INSERT 0 1
    A: commit                   → ROLLBACK
    A: select v from t          → 2
  `,
  "several statements in one query are one transaction": `
    setup: create table t (v int)
    A: insert into t values (1); select 1 / 0; insert into t values (2) → INSERT 0 1 / ERROR 22012 division by zero
    A: select count(*) from t                                    → 0
    A: insert into t values (1); commit; select 1 / 0            → INSERT 0 1 / WARNING 25P01 there is no transaction in progress / COMMIT / ERROR 22012 division by zero
    A: select count(*) from t                                    → 1
    B: begin; insert into t values (5)                           → BEGIN / INSERT 0 1
    A: select count(*) from t                                    → 1
    B: commit                                                    → COMMIT
    A: select count(*) from t                                    → 2
  `,
  "a transaction of one connection can wait for nothing while another one works": `
    setup: create table t (id serial primary key, v int); create table log (what text)
    A: begin                                     → BEGIN
    A: insert into t (v) values (1) returning id → 1
    B: insert into log values ('beside')         → INSERT 0 1
    B: select count(*) from t                    → 0
    A: commit                                    → COMMIT
    B: select count(*) from t                    → 1
  `,
});
