"""psycopg 3 with several connections in threads; see checks.py for how it is called."""

import time

import psycopg
from psycopg import sql

from checks import equal, fails, in_threads, main


def connect(url, **options):
    return psycopg.connect(url, autocommit=True, **options)


def names(url, connections):
    """Every connection prepares its own statements at once, under the names that all of them use: _pg3_0, _pg3_1, …"""

    def work(me):
        with connect(url, prepare_threshold=0) as conn:
            for n in range(40):
                row = conn.execute(f"select {me} * 1000 + %s::int, %s::text", (n, f"c{me}")).fetchone()
                equal(row, (me * 1000 + n, f"c{me}"))
                row = conn.execute(
                    f"select %s::int, %s::text, %s::int, %s::text, {me} + %s::int", (n, "b", me, None, n)
                ).fetchone()
                equal(row, (n, "b", me, None, me + n))

    in_threads(connections, work)


def evict(url, connections):
    """More statements than a connection keeps: it evicts the oldest with DEALLOCATE and prepares them anew."""

    def work(me):
        with connect(url, prepare_threshold=0) as conn:
            for round in range(2):
                for n in range(130):
                    row = conn.execute(f"select {n} + %s::int as n{n}, {me} as me", (round,)).fetchone()
                    equal(row, (n + round, me))
            equal(len(conn._prepared._names) <= 100, True)

    in_threads(connections, work)


def evict_in_pipeline(url, connections):
    """The DEALLOCATE of a pipeline goes through the extended protocol."""

    def work(me):
        with connect(url, prepare_threshold=0) as conn:
            conn.prepared_max = 10
            for round in range(3):
                with conn.pipeline():
                    cursors = [conn.execute(f"select {n} * %s::int as n{n}, {me}", (round,)) for n in range(30)]
                for n, cursor in enumerate(cursors):
                    equal(cursor.fetchone(), (n * round, me))

    in_threads(connections, work)


def pipeline(url, connections):
    """Pipelines of many statements, with a Sync and an error in the middle."""

    def work(me):
        with connect(url) as conn:
            conn.execute(f"create table pipelined_{me} (n int primary key)")
            with conn.pipeline() as pipe:
                cursors = []
                for n in range(200):
                    conn.execute(f"insert into pipelined_{me} values (%s)", (n,))
                    cursors.append(conn.execute("select %s::int, %s::int", (me, n)))
                    if n % 50 == 49:
                        pipe.sync()
            for n, cursor in enumerate(cursors):
                equal(cursor.fetchone(), (me, n))

            def broken():
                with conn.pipeline():
                    conn.execute(f"insert into pipelined_{me} values (1000)")
                    conn.execute(f"insert into pipelined_{me} values (0)")
                    conn.execute(f"insert into pipelined_{me} values (1001)")

            fails(psycopg.errors.UniqueViolation, broken)
            # All up to a Sync is one transaction.
            equal(conn.execute(f"select count(*), max(n) from pipelined_{me}").fetchone(), (200, 199))

    in_threads(connections, work)


def cursors(url, connections):
    """Server-side cursors with the same name in every connection, read in parts, backwards, and left early."""

    def work(me):
        with psycopg.connect(url) as conn:
            for _ in range(3):
                with conn.transaction():
                    with conn.cursor("same", scrollable=True) as cursor:
                        cursor.itersize = 70
                        cursor.execute("select n * %s from generate_series(1, 500) n", (me,))
                        equal([row[0] for row in cursor], [n * me for n in range(1, 501)])
                        cursor.scroll(250, mode="absolute")
                        equal(cursor.fetchmany(2), [(251 * me,), (252 * me,)])
                    with conn.cursor("same") as cursor:
                        cursor.execute("select n from generate_series(1, 100000) n")
                        equal(cursor.fetchmany(3), [(1,), (2,), (3,)])
                    equal(conn.execute("select %s::int", (me,)).fetchone(), (me,))

    in_threads(connections, work)


def copy(url, connections):
    """COPY in and out, as text and as binary, with data that comes slowly, that is broken, and that is given up."""

    def work(me):
        with connect(url) as conn:
            table = sql.Identifier(f"copied_{me}")
            conn.execute(sql.SQL("create table {} (n int, words text, data bytea)").format(table))
            rows = [(n, f"words\t{n}\\ of {me}", None if n % 5 == 0 else bytes([n % 256]) * 10) for n in range(3000)]
            into = sql.SQL("copy {} from stdin").format(table)
            with conn.cursor().copy(into) as out:
                for at, row in enumerate(rows):
                    if at % 1000 == 999:
                        time.sleep(0.3)
                    out.write_row(row)
            check_rows(conn, table, rows)

            conn.execute(sql.SQL("truncate {}").format(table))
            with conn.cursor().copy(into + sql.SQL(" (format binary)")) as out:
                out.set_types(["int4", "text", "bytea"])
                for row in rows:
                    out.write_row(row)
            check_rows(conn, table, rows)
            with conn.cursor().copy(sql.SQL("copy (select * from {} order by n) to stdout (format binary)").format(table)) as data:
                data.set_types(["int4", "text", "bytea"])
                equal(list(data.rows()), rows)

            def broken():
                with conn.cursor().copy(into) as out:
                    out.write("1\tx\t\\N\nmany\tx\t\\N\n")

            equal("line 2" in (fails(psycopg.errors.InvalidTextRepresentation, broken).diag.context or ""), True)

            def given_up():
                with conn.cursor().copy(into) as out:
                    out.write("1\tx\t\\N\n")
                    raise ZeroDivisionError

            equal("ZeroDivisionError" in str(fails(psycopg.errors.QueryCanceled, given_up)), True)
            check_rows(conn, table, rows)

    in_threads(connections, work)


def check_rows(conn, table, rows):
    equal(conn.execute(sql.SQL("select * from {} order by n").format(table)).fetchall(), rows)


def transactions(url, connections):
    """Transfers between accounts, with savepoints and errors: nothing is lost and nothing half done."""
    with connect(url) as conn:
        conn.execute("create table purse (id int primary key, coins int not null check (coins >= 0))")
        conn.execute("insert into purse select n, 100 from generate_series(0, 9) n")

    def work(me):
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as conn:
            for n in range(15):
                giver, taker = (me + n) % 10, (me + n + 1) % 10

                def too_much():
                    with conn.transaction():
                        conn.execute("update purse set coins = coins + 1000 where id = %s", (taker,))
                        conn.execute("update purse set coins = coins - 1000 where id = %s", (giver,))

                with conn.transaction():
                    conn.execute("update purse set coins = coins + 0 where id = %s", (taker,))
                    fails(psycopg.errors.CheckViolation, too_much)
                    equal(conn.execute("select sum(coins) from purse").fetchone(), (1000,))
                fails(psycopg.errors.CheckViolation, too_much)

    in_threads(connections, work)
    with connect(url) as conn:
        equal(conn.execute("select min(coins), max(coins) from purse").fetchone(), (100, 100))


def many(url, connections):
    """executemany (which sends a pipeline) with and without results; binary results."""

    def work(me):
        with connect(url) as conn:
            cursor = conn.cursor(binary=me % 2 == 0)
            cursor.execute(f"create table many_{me} (n int generated always as identity, word text)")
            words = [(f"word {n} of {me}",) for n in range(300)]
            cursor.executemany(f"insert into many_{me} (word) values (%s) returning n, word", words, returning=True)
            got = []
            while True:
                got.append(cursor.fetchone())
                if not cursor.nextset():
                    break
            equal(got, [(n + 1, word) for n, (word,) in enumerate(words)])

    in_threads(connections, work)


main({f.__name__: f for f in (names, evict, evict_in_pipeline, pipeline, cursors, copy, transactions, many)})
