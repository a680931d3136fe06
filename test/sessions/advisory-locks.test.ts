/** Advisory locks: of the session and of the transaction, exclusive and shared. */
import { describeScripts } from "./support/suite.ts";

describeScripts("advisory locks", {
  "a lock of the session outlives its transaction and is counted": `
    A: begin                          → BEGIN
    A: select pg_advisory_lock(1)     → ''
    A: select pg_advisory_lock(1)     → ''
    A: rollback                       → ROLLBACK
    B: select pg_try_advisory_lock(1) → f
    A: select pg_advisory_unlock(1)   → t
    B: select pg_try_advisory_lock(1) → f
    A: select pg_advisory_unlock(1)   → t
    B: select pg_try_advisory_lock(1) → t
    A: select pg_advisory_unlock(1)   → WARNING 01000 you don't own a lock of type ExclusiveLock / f
  `,
  "a lock of the transaction ends with it": `
    A: begin                               → BEGIN
    A: select pg_advisory_xact_lock(1)     → ''
    B: select pg_advisory_lock(1)          → waits for A
    A: commit                              → COMMIT
    B:                                     → ''
    A: select pg_try_advisory_xact_lock(1) → f
  `,
  "shared locks go together, an exclusive one waits for both, and the next sharer behind it": `
    A: select pg_advisory_lock_shared(5)   → ''
    B: select pg_advisory_lock_shared(5)   → ''
    C: select pg_advisory_lock(5)          → waits for A, B
    D: select pg_advisory_lock_shared(5)   → waits for C
    A: select pg_advisory_unlock_shared(5) → t
    B: select pg_advisory_unlock_shared(5) → t
    C:                                     → ''
    C: select pg_advisory_unlock(5)        → t
    D:                                     → ''
  `,
  "two integers are another lock than one": `
    A: select pg_advisory_lock(1, 2)                             → ''
    B: select pg_try_advisory_lock(4294967298)                   → t
    B: select pg_try_advisory_lock(1, 2)                         → f
    A: select locktype, classid, objid, objsubid, mode, granted, pid = <A> as mine from pg_locks where locktype = 'advisory' order by objsubid → advisory|1|2|1|ExclusiveLock|t|f; advisory|1|2|2|ExclusiveLock|t|t
    A: select pg_advisory_unlock_all()                           → ''
    B: select pg_try_advisory_lock(1, 2)                         → t
  `,
  "locks go with their session": `
    A: select pg_advisory_lock(9) → ''
    B: select pg_advisory_lock(9) → waits for A
    A! leave                      → gone
    B:                            → ''
    C: select pg_advisory_lock(9) → waits for B
    B! vanish                     → gone
    C:                            → ''
  `,
});
