"""psycopg2 with several connections in threads; see checks.py for how it is called. It speaks the simple protocol."""

import io
import time

import psycopg2
import psycopg2.extras
from psycopg2.pool import ThreadedConnectionPool

from checks import equal, fails, in_threads, main


def queries(url, connections):
    """Queries of many shapes through a pool, each with its errors."""
    pool = ThreadedConnectionPool(connections, connections, url)

    def work(me):
        conn = pool.getconn()
        for n in range(50):
            with conn, conn.cursor() as cursor:
                cursor.execute("select %s, %s::text, %s", (me * 1000 + n, f"it's {me}", [n, me]))
                equal(cursor.fetchall(), [(me * 1000 + n, f"it's {me}", [n, me])])
                cursor.execute("select n from generate_series(1, %s) n; select %s as last", (n, me))
                equal(cursor.fetchall(), [(me,)])

            def broken():
                with conn, conn.cursor() as cursor:
                    cursor.execute("select 1 / (%s - %s)", (n, n))

            equal(fails(psycopg2.errors.DivisionByZero, broken).pgcode, "22012")
        pool.putconn(conn)

    in_threads(connections, work)
    pool.closeall()


def transactions(url, connections):
    """Transactions that end well and that do not, with savepoints."""
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cursor:
        cursor.execute("create table event (connection int, n int, name text)")

    def work(me):
        conn = psycopg2.connect(url)
        for n in range(20):
            with conn.cursor() as cursor:
                cursor.execute("insert into event values (%s, %s, 'kept')", (me, n))
                cursor.execute("savepoint before")
                cursor.execute("insert into event values (%s, %s, 'undone')", (me, n))
                fails(psycopg2.errors.UndefinedTable, lambda: cursor.execute("insert into nowhere values (1)"))
                fails(psycopg2.errors.InFailedSqlTransaction, lambda: cursor.execute("select 1"))
                cursor.execute("rollback to savepoint before")
            if n % 4 == 3:
                conn.rollback()
            else:
                conn.commit()
        conn.close()

    in_threads(connections, work)
    with conn, conn.cursor() as cursor:
        cursor.execute("select connection, count(*), string_agg(distinct name, ',') from event group by 1 order by 1")
        equal(cursor.fetchall(), [(me, 15, "kept") for me in range(connections)])
    conn.close()


def cursors(url, connections):
    """Named cursors with the same name in every connection, read in parts."""

    def work(me):
        conn = psycopg2.connect(url)
        for _ in range(3):
            with conn, conn.cursor("same") as cursor:
                cursor.itersize = 90
                cursor.execute("select n * %s from generate_series(1, 500) n", (me,))
                equal([row[0] for row in cursor], [n * me for n in range(1, 501)])
        conn.close()

    in_threads(connections, work)


def copy(url, connections):
    """COPY in from memory, from a file that is slow, and broken; COPY out."""

    class SlowFile(io.StringIO):
        def read(self, size=-1):
            time.sleep(0.2)
            return super().read(8192)

    def work(me):
        conn = psycopg2.connect(url)
        rows = "".join(f"{n}\twords {n} of {me}\n" for n in range(2000))
        with conn, conn.cursor() as cursor:
            cursor.execute(f"create table copied2_{me} (n int, words text)")
            cursor.copy_expert(f"copy copied2_{me} from stdin", io.StringIO(rows))
            equal(cursor.rowcount, 2000)
        # Outside of a transaction: inside of one the others would have to wait for it.
        conn.autocommit = True
        conn.cursor().copy_from(SlowFile(rows), f"copied2_{me}")
        conn.autocommit = False
        with conn, conn.cursor() as cursor:
            out = io.StringIO()
            cursor.copy_expert(f"copy (select distinct * from copied2_{me} order by n) to stdout", out)
            equal(out.getvalue(), rows)

        def broken():
            with conn, conn.cursor() as cursor:
                cursor.copy_expert(f"copy copied2_{me} from stdin", io.StringIO("1\tx\nmany\tx\n"))

        equal("line 2" in str(fails(psycopg2.errors.InvalidTextRepresentation, broken)), True)
        with conn, conn.cursor() as cursor:
            cursor.execute(f"select count(*), sum(n) from copied2_{me}")
            equal(cursor.fetchone(), (4000, 2000 * 1999))
        conn.close()

    in_threads(connections, work)


def values(url, connections):
    """execute_values and execute_batch, which send many rows and many statements at once."""

    def work(me):
        conn = psycopg2.connect(url)
        with conn, conn.cursor() as cursor:
            cursor.execute(f"create table valued_{me} (n int primary key, word text)")
            rows = [(n, f"word {n}") for n in range(1000)]
            got = psycopg2.extras.execute_values(
                cursor, f"insert into valued_{me} values %s returning n", rows, page_size=300, fetch=True
            )
            equal([n for (n,) in got], list(range(1000)))
            changes = [(f"changed {n}", n) for n in range(500)]
            psycopg2.extras.execute_batch(cursor, f"update valued_{me} set word = %s where n = %s", changes, page_size=90)
            cursor.execute(f"select * from valued_{me} order by n")
            equal(cursor.fetchall(), [(n, f"{'changed' if n < 500 else 'word'} {n}") for n in range(1000)])
        conn.close()

    in_threads(connections, work)


main({f.__name__: f for f in (queries, transactions, cursors, copy, values)})
