"""psycopg 3 with two sessions that are in each other's way, as many pairs as there are connections; see checks.py."""

import threading

import psycopg

from checks import equal, fails, in_threads, main
from sessions import until_waiting


def in_pairs(count, work):
    """Runs `work(first, second, table)` for each pair, with two sessions and a table of three rows of its own."""

    def pair(me):
        first, second = psycopg.connect(work.url), psycopg.connect(work.url)
        table = f"{work.__name__}_{me}"
        first.execute(f"create table {table} (id int primary key, value int not null)")
        first.execute(f"insert into {table} values (1, 10), (2, 20), (3, 30)")
        first.commit()
        equal(values(second, table), [10, 20, 30])
        second.commit()
        work(first, second, table)
        # Not after a failure: closing would wait for a thread that uses the session.
        first.close()
        second.close()

    in_threads(count, pair)


def case(work):
    def run(url, connections):
        work.url = url
        in_pairs(connections, work)

    run.__name__ = work.__name__
    return run


def values(session, table):
    return [value for (value,) in session.execute(f"select value from {table} order by id").fetchall()]


@case
def isolation(first, second, table):
    """What a transaction has written is its own until it commits; a snapshot stays what it was."""
    second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    equal(values(second, table), [10, 20, 30])
    first.execute(f"update {table} set value = 11 where id = 1")
    first.execute(f"insert into {table} values (4, 40)")
    equal(values(first, table), [11, 20, 30, 40])
    equal(values(second, table), [10, 20, 30])
    first.commit()
    equal(values(second, table), [10, 20, 30])
    fails(psycopg.errors.SerializationFailure, lambda: second.execute(f"update {table} set value = 0 where id = 1"))
    second.rollback()
    equal(values(second, table), [11, 20, 30, 40])
    second.commit()
    equal(first.info.backend_pid != second.info.backend_pid, True)
    first.execute("set datestyle = 'German'")
    first.execute("create temporary table scratch as select 1 as n")
    equal(first.info.parameter_status("DateStyle"), "German, DMY")
    equal(second.info.parameter_status("DateStyle"), "ISO, MDY")
    equal(second.execute("select current_setting('DateStyle'), to_regclass('scratch')").fetchone(), ("ISO, MDY", None))


@case
def blocked(first, second, table):
    """An UPDATE in a thread waits for the other session's, and then goes on from what that one committed."""
    for end, expected in ((first.commit, 110), (first.rollback, 120)):
        first.execute(f"update {table} set value = value + 90 where id = 1")
        got = []

        def update():
            got.append(second.execute(f"update {table} set value = value + 10 where id = 1 returning value").fetchone())
            second.commit()

        thread = threading.Thread(target=update, daemon=True)
        thread.start()
        until_waiting(
            lambda text, args: first.execute(text, args).fetchone(), second.info.backend_pid, first.info.backend_pid
        )
        equal(got, [])
        # Others are not held up.
        equal(first.execute(f"select value from {table} where id = 2").fetchone(), (20,))
        end()
        thread.join(60)
        equal(got, [(expected,)])
        equal(values(first, table), [expected, 20, 30])
        first.commit()


@case
def deadlock(first, second, table):
    """Of two that wait for each other, one gets an error, and the other goes on."""
    first.execute(f"update {table} set value = 1 where id = 1")
    second.execute(f"update {table} set value = 2 where id = 2")
    failures = []

    def update(session, id):
        try:
            session.execute(f"update {table} set value = value + 100 where id = {id}")
            session.commit()
        except psycopg.errors.DeadlockDetected as error:
            failures.append(error)
            session.rollback()

    threads = [threading.Thread(target=update, args=args, daemon=True) for args in ((first, 2), (second, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    equal(len(failures), 1)
    equal("waits for ShareLock on transaction" in failures[0].diag.message_detail, True)
    # The first one's two changes, or the second one's.
    equal(values(first, table) in ([1, 120, 30], [110, 2, 30]), True)


@case
def savepoints(first, second, table):
    """Nested transactions: what the inner one gives up is gone, its locks too, while the outer one stays open."""
    with first.transaction():
        first.execute(f"update {table} set value = 11 where id = 1")
        with first.transaction() as inner:
            first.execute(f"update {table} set value = 22 where id = 2")
            equal(values(first, table), [11, 22, 30])
            locked = f"select value from {table} where id = 2 for update nowait"
            fails(psycopg.errors.LockNotAvailable, lambda: second.execute(locked))
            second.rollback()
            raise psycopg.Rollback(inner)
        equal(values(first, table), [11, 20, 30])
        equal(second.execute(locked).fetchone(), (20,))
        second.commit()
        equal(values(second, table), [10, 20, 30])
        second.commit()
        with first.transaction():
            fails(psycopg.errors.UniqueViolation, lambda: duplicate(first, table))
            first.execute(f"update {table} set value = 33 where id = 3")
    equal(values(second, table), [11, 20, 33])


def duplicate(session, table):
    with session.transaction():
        session.execute(f"insert into {table} values (1, 0)")


@case
def cursors(first, second, table):
    """A server-side cursor of the same name in each session, read in parts while the other changes the table."""
    for session, factor in ((first, 1), (second, 2)):
        session.execute(f"insert into {table} select n, n * {factor} from generate_series({factor}00001, {factor}00500) n")
        session.commit()
    with first.cursor("same") as one, second.cursor("same") as other:
        one.itersize = other.itersize = 50
        one.execute(f"select id from {table} where id > 100000 and id < 200000 order by id")
        other.execute(f"select value from {table} where id > 200000 order by id")
        equal(one.fetchmany(100), [(n,) for n in range(100001, 100101)])
        equal(other.fetchmany(70), [(2 * n,) for n in range(200001, 200071)])
        second.execute(f"delete from {table} where id between 100001 and 100500")
        equal(one.fetchall(), [(n,) for n in range(100101, 100501)])
        equal(other.fetchall(), [(2 * n,) for n in range(200071, 200501)])
    second.commit()
    first.commit()
    equal(values(first, table)[:4], [10, 20, 30, 400002])


main({f.__name__: f for f in (isolation, blocked, deadlock, savepoints, cursors)})
