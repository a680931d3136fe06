"""asyncpg with pools and several connections; see checks.py for how it is called."""

import asyncio
import os

import asyncpg

from checks import equal, main


async def raises(exception, awaitable):
    """Fails the program unless `awaitable` raises `exception`; returns what it raised."""
    try:
        await awaitable
    except exception as error:
        equal(isinstance(error, exception), True)
        return error
    raise AssertionError(f"no {exception.__name__} was raised")


async def with_connections(url, connections, work, **options):
    """Runs work(connection, index) on that many connections at the same time, and closes them."""
    opened = [await asyncpg.connect(url, **options) for _ in range(connections)]
    await asyncio.gather(*(work(conn, me) for me, conn in enumerate(opened)))
    # It waits until the server has closed its side too.
    await asyncio.gather(*(conn.close(timeout=5) for conn in opened))


async def names(url, connections):
    """Statements under the names that every process uses, __asyncpg_stmt_1__ …: several processes must run this."""

    async def work(conn, me):
        mine = os.getpid() * 10 + me
        for n in range(40):
            row = await conn.fetchrow(f"select {mine} + $1::int, $2::text", n, f"c{me}")
            equal(tuple(row), (mine + n, f"c{me}"))
            row = await conn.fetchrow(f"select $1::int, $2::text, $3::int, $4::text, {mine} + $5::int", n, "b", me, None, n)
            equal(tuple(row), (n, "b", me, None, mine + n))

    opened = [await asyncpg.connect(url) for _ in range(connections)]
    await asyncio.gather(*(work(conn, me) for me, conn in enumerate(opened)))
    # Not close(): it waits until the server has closed too, which the stock library never does.
    for conn in opened:
        conn.terminate()


async def unnamed(url, connections):
    """Without a statement cache every statement is the unnamed one, described first and bound then."""

    async def work(conn, me):
        for n in range(40):
            equal(await conn.fetchval(f"select {me} * 1000 + $1::int", n), me * 1000 + n)
            row = await conn.fetchrow(f"select $1::int, $2::text, $3::int, {me} + $4::int", n, "b", me, n)
            equal(tuple(row), (n, "b", me, me + n))

    await with_connections(url, connections, work, statement_cache_size=0)


async def evict(url, connections):
    """A statement cache that is too small, so that statements are closed and prepared anew."""

    async def work(conn, me):
        for round in range(3):
            for n in range(40):
                equal(await conn.fetchval(f"select {n} * $1::int + {me}", round), n * round + me)

    await with_connections(url, connections, work, statement_cache_size=10)


async def pool(url, connections):
    """A pool that resets its connections, with more users than connections."""
    async with asyncpg.create_pool(url, min_size=connections, max_size=connections) as opened:

        async def use(n):
            async with opened.acquire() as conn:
                equal(await conn.fetchval("select $1::int * 2", n), n * 2)
                rows = await conn.fetch("select m, $2::text as tag from generate_series(1, $1) m", n % 40, f"t{n}")
                equal([tuple(row) for row in rows], [(m, f"t{n}") for m in range(1, n % 40 + 1)])
                equal(await conn.execute("select 1; select 2; create temp table if not exists t (n int)") in ("SELECT 1", "CREATE TABLE"), True)

        await asyncio.gather(*(use(n) for n in range(connections * 25)))


async def transactions(url, connections):
    """Transactions with savepoints and errors, through a pool."""
    async with asyncpg.create_pool(url, min_size=connections, max_size=connections) as opened:
        await opened.execute("create table deed (connection int, n int, name text)")

        async def use(me):
            for n in range(10):
                async with opened.acquire() as conn:

                    async def fail():
                        async with conn.transaction():
                            await conn.execute("insert into deed values ($1, $2, 'undone')", me, n)
                            await conn.execute("select 1 / $1::int", 0)

                    outer = conn.transaction(isolation="repeatable_read")
                    await outer.start()
                    await conn.execute("insert into deed values ($1, $2, 'kept')", me, n)
                    await raises(asyncpg.DivisionByZeroError, fail())
                    equal(await conn.fetchval("show transaction_isolation"), "repeatable read")
                    equal(await conn.fetchval("select count(*) from deed where connection = $1 and n = $2", me, n), 1)
                    await (outer.rollback() if n % 5 == 4 else outer.commit())

        await asyncio.gather(*(use(me) for me in range(connections)))
        rows = await opened.fetch("select connection, count(*), string_agg(distinct name, ',') from deed group by 1 order by 1")
        equal([tuple(row) for row in rows], [(me, 8, "kept") for me in range(connections)])


async def cursors(url, connections):
    """Cursors: iterated with a prefetch, fetched in parts, moved and left early."""

    async def work(conn, me):
        for _ in range(3):
            async with conn.transaction():
                query = "select n * $1::int from generate_series(1, 500) n"
                equal([row[0] async for row in conn.cursor(query, me, prefetch=60)], [n * me for n in range(1, 501)])
                cursor = await conn.cursor(query, me)
                equal([row[0] for row in await cursor.fetch(3)], [me, 2 * me, 3 * me])
                equal(await cursor.forward(200), 200)
                equal((await cursor.fetchrow())[0], 204 * me)
                equal(await conn.fetchval("select $1::int", me), me)

    await with_connections(url, connections, work)


async def copy(url, connections):
    """Records and streams in and out, slowly, broken, and given up."""

    async def work(conn, me):
        table = f"copied3_{me}"
        await conn.execute(f"create table {table} (n int, words text, data bytea)")
        rows = [(n, f"words\t{n} of {me}", None if n % 5 == 0 else bytes([n % 256]) * 10) for n in range(3000)]

        async def check():
            equal([tuple(row) for row in await conn.fetch(f"select * from {table} order by n")], rows)

        equal(await conn.copy_records_to_table(table, records=rows), "COPY 3000")
        await check()

        pieces = []

        async def collect(data):
            pieces.append(data)

        await conn.copy_from_query(f"select * from {table} order by n", output=collect)
        text = b"".join(pieces)
        equal(text.count(b"\n"), 3000)
        await conn.execute(f"truncate {table}")

        async def slowly():
            for at in range(0, len(text), 40_000):
                await asyncio.sleep(0.2)
                yield text[at : at + 40_000]

        equal(await conn.copy_to_table(table, source=slowly()), "COPY 3000")
        await check()

        async def broken():
            yield b"1\tx\t\\N\nmany\tx\t\\N\n"

        await raises(asyncpg.BadCopyFileFormatError, conn.copy_to_table(table, source=broken(), columns=["n", "words"]))
        await raises(asyncpg.InvalidTextRepresentationError, conn.copy_to_table(table, source=broken()))

        async def given_up():
            yield b"1\tx\t\\N\n"
            raise ZeroDivisionError

        await raises(ZeroDivisionError, conn.copy_to_table(table, source=given_up()))
        await raises(asyncpg.UndefinedTableError, conn.copy_to_table("nowhere", source=broken()))
        await check()

    await with_connections(url, connections, work)


async def many(url, connections):
    """executemany, whose rows are one pipeline and one transaction; types that must be looked up."""

    async def work(conn, me):
        await conn.execute(f"create type mood_{me} as enum ('glad', 'sad'); create table many3_{me} (n int primary key, mood mood_{me}, list int[])")
        rows = [(n, "glad" if n % 2 else "sad", [n, None]) for n in range(1000)]
        await conn.executemany(f"insert into many3_{me} values ($1, $2, $3)", rows)
        equal([tuple(row) for row in await conn.fetch(f"select * from many3_{me} order by n")], rows)
        again = [(2000, "sad", []), (7, "glad", []), (2001, "sad", [])]
        await raises(asyncpg.UniqueViolationError, conn.executemany(f"insert into many3_{me} values ($1, $2, $3)", again))
        equal(await conn.fetchval(f"select max(n) from many3_{me}"), 999)
        equal(tuple(await conn.fetchval(f"select row(m.n, m.mood) from many3_{me} m where n = 3")), (3, "glad"))

    await with_connections(url, connections, work)


def of(case):
    return lambda url, connections: asyncio.run(case(url, connections))


main({f.__name__: of(f) for f in (names, unnamed, evict, pool, transactions, cursors, copy, many)})
