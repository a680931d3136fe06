/** What a session can find out about the others. */
import { describeScripts } from "./support/suite.ts";

describeScripts("views of other sessions", {
  "pg_blocking_pids names whom a session waits for": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                     → BEGIN
    A: update t set v = 11                                       → UPDATE 1
    B: update t set v = 12                                       → waits for A
    C: update t set v = 13                                       → waits for B
    D: select pg_blocking_pids(<A>), pg_blocking_pids(<B>), pg_blocking_pids(<C>) → {}|{<A>}|{<B>}
    A: commit                                                    → COMMIT
    B:                                                           → UPDATE 1
    C:                                                           → UPDATE 1
    D: select pg_blocking_pids(<A>), pg_blocking_pids(<B>), pg_blocking_pids(<C>) → {}|{}|{}
  `,
  "pg_locks shows the locks of all sessions": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                     → BEGIN
    A: update t set v = 11                                       → UPDATE 1
    B: begin                                                     → BEGIN
    B: lock table t                                              → waits for A
    C: select pid, mode, granted from pg_locks where relation = 't'::regclass order by granted desc, mode → <A>|RowExclusiveLock|t; <B>|AccessExclusiveLock|f
    C: select pid, count(*) from pg_locks where locktype = 'transactionid' and granted group by pid → <A>|1; <B>|1
    A: commit                                                    → COMMIT
    B:                                                           → LOCK TABLE
  `,
  "pg_locks shows who waits for whose transaction": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A: begin                                                     → BEGIN
    A: update t set v = 11                                       → UPDATE 1
    B: update t set v = 12                                       → waits for A
    C: select w.pid as waiter, h.pid as holder, w.mode from pg_locks w join pg_locks h using (transactionid) where not w.granted and h.granted → <B>|<A>|ShareLock
    C: select pid, mode from pg_locks where locktype = 'tuple'   → <B>|ExclusiveLock
    A: commit                                                    → COMMIT
    B:                                                           → UPDATE 1
  `,
  "pg_stat_activity shows state, statement and wait of each": `
    setup: create table t (id int primary key, v int); insert into t values (1, 10)
    A! connect application_name=first                            → connected
    B! connect application_name=second                           → connected
    A: begin                                                     → BEGIN
    A: update t set v = 11                                       → UPDATE 1
    B: update t set v = 12                                       → waits for A
    C: select pid, application_name, state, query, wait_event_type, wait_event from pg_stat_activity where application_name in ('first', 'second') order by application_name → <A>|first|idle in transaction|update t set v = 11|Client|ClientRead; <B>|second|active|update t set v = 12|Lock|transactionid
    A: commit                                                    → COMMIT
    B:                                                           → UPDATE 1
    A: select 1/0                                                → ERROR 22012 division by zero
    C: select application_name, state, query from pg_stat_activity where application_name in ('first', 'second') order by application_name → first|idle|select 1/0; second|idle|update t set v = 12
    A: begin                                                     → BEGIN
    A: select 1/0                                                → ERROR 22012 division by zero
    A: set application_name = 'renamed'                          → ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block
    A: rollback                                                  → ROLLBACK
    A: set application_name = 'renamed'                          → SET / {application_name=renamed}
    C: select pid, usename, datname, state, backend_type from pg_stat_activity where application_name = 'renamed' → <A>|postgres|postgres|idle|client backend
  `,
  "pg_backend_pid is of the session and its connection is in the list": `
    A: select pg_backend_pid()                                   → <A>
    B: select pg_backend_pid()                                   → <B>
    A: select count(*) from pg_stat_activity where pid in (<A>, <B>) → 2
    B! leave                                                     → gone
    A: select pid, backend_type from pg_stat_activity where pid = <A> → <A>|client backend
    A: select pg_stat_get_backend_pid(id) = <A> from pg_stat_get_backend_idset() id where pg_stat_get_backend_pid(id) = <A> → t
  `,
  "a session in a transaction keeps the horizon": `
    setup: create table t (v int); insert into t values (1)
    A: begin isolation level repeatable read                     → BEGIN
    A: select v from t                                           → 1
    B: select backend_xmin is not null from pg_stat_activity where pid = <A> → t
    A: commit                                                    → COMMIT
    B: select backend_xmin is not null from pg_stat_activity where pid = <A> → f
    A: begin                                                     → BEGIN
    A: insert into t values (2)                                  → INSERT 0 1
    B: select backend_xid is not null from pg_stat_activity where pid = <A> → t
    A: rollback                                                  → ROLLBACK
  `,
});
