/** Settings and roles of a session: at the start, for a transaction, for a role, and what the client is told. */
import { describeScripts } from "./support/suite.ts";

describeScripts("settings and roles", {
  "SET is of the session and rolls back": `
    A: set work_mem = '5MB' → SET
    B: show work_mem        → 4MB
    A: show work_mem        → 5MB
    A: begin                → BEGIN
    A: set work_mem = '6MB' → SET
    A: rollback             → ROLLBACK
    A: show work_mem        → 5MB
    A: reset work_mem       → RESET
    A: show work_mem        → 4MB
  `,
  "SET LOCAL is of the transaction": `
    A: begin                              → BEGIN
    A: set local statement_timeout = '9s' → SET
    A: show statement_timeout             → 9s
    B: show statement_timeout             → 0
    A: savepoint s                        → SAVEPOINT
    A: set local statement_timeout = '8s' → SET
    A: rollback to savepoint s            → ROLLBACK
    A: show statement_timeout             → 9s
    A: commit                             → COMMIT
    A: show statement_timeout             → 0
    A: set local statement_timeout = '7s' → WARNING 25P01 SET LOCAL can only be used in transaction blocks / SET
  `,
  "the client is told of what it must know": `
    A: set application_name = 'reporter' → SET / {application_name=reporter}
    A: set timezone = 'Asia/Tokyo'       → SET / {TimeZone=Asia/Tokyo}
    A: set datestyle = 'SQL, DMY'        → SET / {DateStyle=SQL, DMY}
    A: set client_encoding = 'LATIN1'    → SET / {client_encoding=LATIN1}
    A: begin                             → BEGIN
    A: set application_name = 'other'    → SET / {application_name=other}
    A: rollback                          → ROLLBACK / {application_name=reporter}
    B: show timezone                     → UTC
    B: show application_name             → ''
    A: reset all                         → RESET / {application_name=} / {client_encoding=UTF8} / {DateStyle=ISO, MDY} / {TimeZone=UTC}
    A: select date '2020-02-01'          → 2020-02-01
  `,
  "parameters of the startup packet": `
    A! connect application_name=worker, timezone=Europe/Paris, options=-c work_mem=7MB -c statement_timeout=12s → connected
    B! connect                                                   → connected
    A: select current_setting('application_name'), current_setting('timezone'), current_setting('work_mem'), current_setting('statement_timeout') → worker|Europe/Paris|7MB|12s
    B: select current_setting('application_name'), current_setting('work_mem'), current_setting('statement_timeout') → ''|4MB|0
    A: set work_mem = '8MB'                                      → SET
    A: reset work_mem                                            → RESET
    A: show work_mem                                             → 7MB
    A: discard all                                               → DISCARD ALL
    A: select current_setting('application_name'), current_setting('work_mem') → worker|7MB
    C! connect options=-c no_such_setting=1                      → FATAL 42704 unrecognized configuration parameter "no_such_setting"
    D! connect options=-c work_mem=abc                           → FATAL 22023 invalid value for parameter "work_mem": "abc"
  `,
  "settings that a session makes up": `
    A: set my.tenant = '42'                        → SET
    A: select current_setting('my.tenant')         → 42
    B: select current_setting('my.tenant')         → ERROR 42704 unrecognized configuration parameter "my.tenant"
    B: select current_setting('my.tenant', true)   → null
    B: select set_config('my.tenant', '43', false) → 43
    A: begin                                       → BEGIN
    A: select set_config('my.tenant', '44', true)  → 44
    A: select current_setting('my.tenant')         → 44
    A: commit                                      → COMMIT
    A: select current_setting('my.tenant')         → 42
    B: select current_setting('my.tenant')         → 43
  `,
  "search_path is of the session": `
    setup: create schema one; create schema two; create table one.t (v text); create table two.t (v text); insert into one.t values ('one'); insert into two.t values ('two')
    A: set search_path = one                           → SET / {search_path=one}
    B: set search_path = two                           → SET / {search_path=two}
    A: select v from t                                 → one
    B: select v from t                                 → two
    C: select v from t                                 → ERROR 42P01 relation "t" does not exist
    A: select current_schema(), current_schemas(false) → one|{one}
  `,
  "SET ROLE and RESET ROLE": `
    setup: create role devdb_reader; create table t (v int); insert into t values (1); grant select on t to devdb_reader
    A: set role devdb_reader             → SET / {is_superuser=off}
    A: select current_user, session_user → devdb_reader|postgres
    B: select current_user, session_user → postgres|postgres
    A: select v from t                   → 1
    A: insert into t values (2)          → ERROR 42501 permission denied for table t
    B: insert into t values (2)          → INSERT 0 1
    A: reset role                        → RESET / {is_superuser=on}
    A: insert into t values (3)          → INSERT 0 1
    A: set role no_such_role             → ERROR 22023 role "no_such_role" does not exist
  `,
  "SET SESSION AUTHORIZATION": `
    setup: create role devdb_app login; create role devdb_owner; grant devdb_owner to devdb_app
    A: set session authorization devdb_app → SET / {is_superuser=off} / {session_authorization=devdb_app}
    A: select current_user, session_user   → devdb_app|devdb_app
    A: set role devdb_owner                → SET
    A: select current_user, session_user   → devdb_owner|devdb_app
    A: set role postgres                   → ERROR 42501 permission denied to set role "postgres"
    B: select current_user, session_user   → postgres|postgres
    A: reset session authorization         → RESET / {is_superuser=on} / {session_authorization=postgres}
    A: select current_user, session_user   → postgres|postgres
  `,
  "logging in as another role": `
    setup: create role devdb_app login; alter role devdb_app set work_mem = '3MB'; create table t (v int)
    A! connect user=devdb_app            → connected
    A: select current_user, session_user → devdb_app|devdb_app
    A: show work_mem                     → 3MB
    A: select v from t                   → ERROR 42501 permission denied for table t
    A: show is_superuser                 → off
    A: set role postgres                 → ERROR 42501 permission denied to set role "postgres"
    B: grant select on t to devdb_app    → GRANT
    A: select v from t                   → SELECT 0
    C! connect user=no_such_role         → FATAL 28000 role "no_such_role" does not exist
    D! connect database=no_such_database → FATAL 3D000 database "no_such_database" does not exist
  `,
  "several databases": `
    A: create database devdb_one                      → CREATE DATABASE
    B! connect database=devdb_one                     → connected
    B: select current_database()                      → devdb_one
    B: create table t (v int)                         → CREATE TABLE
    B: insert into t values (1)                       → INSERT 0 1
    A: select v from t                                → ERROR 42P01 relation "t" does not exist
    A: create database devdb_two template devdb_one   → ERROR 55006 source database "devdb_one" is being accessed by other users (There is 1 other session using the database.)
    A: drop database devdb_one                        → ERROR 55006 database "devdb_one" is being accessed by other users (There is 1 other session using the database.)
    B! leave                                          → gone
    A: create database devdb_two template devdb_one   → CREATE DATABASE
    C! connect database=devdb_two                     → connected
    C: select v from t                                → 1
    A: alter database devdb_one rename to devdb_three → ALTER DATABASE
    D! connect database=devdb_one                     → FATAL 3D000 database "devdb_one" does not exist
    E! connect database=template0                     → FATAL 55000 database "template0" is not currently accepting connections
    A: drop database devdb_two with (force)           → DROP DATABASE
    C: select 1                                       → FATAL 57P01 terminating connection due to administrator command / closed
    A: drop database devdb_three                      → DROP DATABASE
  `,
  "row level security follows the role of the session": `
    setup: create role devdb_one; create role devdb_two; create table t (owner text, v int); insert into t values ('devdb_one', 1), ('devdb_two', 2)
    setup: alter table t enable row level security; create policy own on t using (owner = current_user); grant select on t to devdb_one, devdb_two
    A: set role devdb_one         → SET / {is_superuser=off}
    B: set role devdb_two         → SET / {is_superuser=off}
    A: select v from t            → 1
    B: select v from t            → 2
    C: select v from t order by v → 1; 2
    A: set row_security = off     → SET
    A: select v from t            → ERROR 42501 query would be affected by row-level security policy for table "t"
  `,
  "default_transaction_isolation and read only": `
    setup: create table t (v int)
    A: set default_transaction_isolation = 'serializable'        → SET
    A: set default_transaction_read_only = on                    → SET / {default_transaction_read_only=on}
    A: show transaction_isolation                                → serializable
    B: show transaction_isolation                                → read committed
    A: insert into t values (1)                                  → ERROR 25006 cannot execute INSERT in a read-only transaction
    B: insert into t values (1)                                  → INSERT 0 1
    A: begin read write                                          → BEGIN
    A: insert into t values (2)                                  → INSERT 0 1
    A: show transaction_isolation                                → serializable
    A: commit                                                    → COMMIT
    A: set session characteristics as transaction isolation level repeatable read → SET
    A: show default_transaction_isolation                        → repeatable read
  `,
});
