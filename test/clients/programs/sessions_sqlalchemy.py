"""SQLAlchemy with two sessions of one engine that are in each other's way; see checks.py for how it is called."""

import threading

from sqlalchemy import Column, Integer, String, create_engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session, declarative_base

from checks import equal, fails, in_threads, main
from sessions import until_waiting

Base = declarative_base()


class Account(Base):
    __tablename__ = "orm_account"
    id = Column(Integer, primary_key=True)
    owner = Column(String, nullable=False)
    cents = Column(Integer, nullable=False)


def case(work):
    """Runs `work(engine, id)` for each pair at the same time; accounts `id` and `id + 1` are its own."""

    def run(url, connections):
        engine = create_engine(url, future=True, pool_size=3 * connections)
        Base.metadata.create_all(engine)
        with Session(engine, future=True) as session, session.begin():
            session.query(Account).delete()
            session.add_all(Account(id=n, owner=f"owner {n}", cents=100) for n in range(2 * connections))
        in_threads(connections, lambda me: work(engine, 2 * me))
        engine.dispose()

    run.__name__ = work.__name__
    return run


def cents(session, id):
    return session.execute(select(Account.cents).where(Account.id == id)).scalar_one()


def pid(session):
    return session.execute(select(func.pg_backend_pid())).scalar_one()


@case
def isolation(engine, id):
    """What a session has flushed is its own until it commits; a snapshot stays what it was."""
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine, future=True) as first, Session(snapshots, future=True) as second:
        equal(cents(second, id), 100)
        account = first.get(Account, id)
        account.cents = 150
        first.flush()
        equal([cents(first, id), cents(second, id)], [150, 100])
        first.commit()
        equal(cents(second, id), 100)
        change = update(Account).where(Account.id == id).values(cents=0).execution_options(synchronize_session=False)
        error = fails(OperationalError, lambda: second.execute(change))
        equal(error.orig.pgcode, "40001")
        second.rollback()
        equal(cents(second, id), 150)


@case
def blocked(engine, id):
    """A flush in a thread waits for the row that the other session has locked, and goes on from its value."""
    with Session(engine, future=True) as first, Session(engine, future=True) as second:
        account = first.execute(select(Account).where(Account.id == id).with_for_update()).scalar_one()
        holder, waiting = pid(first), pid(second)
        got = []

        def add():
            got.append(second.execute(select(Account).where(Account.id == id).with_for_update()).scalar_one().cents)
            second.commit()

        thread = threading.Thread(target=add, daemon=True)
        thread.start()
        connection = first.connection()
        until_waiting(lambda sql, args: tuple(connection.exec_driver_sql(sql, args).one()), waiting, holder)
        equal(got, [])
        account.cents += 11
        first.commit()
        thread.join(60)
        equal(got, [111])


@case
def savepoints(engine, id):
    """begin_nested: a failure inside gives up the savepoint, not the transaction, and nobody else sees either."""
    with Session(engine, future=True) as first, Session(engine, future=True) as second:
        first.get(Account, id).cents = 90

        def twice():
            with first.begin_nested():
                first.get(Account, id + 1).cents = 0
                first.flush()
                first.execute(text("insert into orm_account values (:id, 'again', 0)"), {"id": id})

        fails(IntegrityError, twice)
        equal([cents(first, id), cents(first, id + 1)], [90, 100])
        # Its lock is gone with the savepoint; the outer one's is not.
        locked = lambda id: select(Account.cents).where(Account.id == id).with_for_update(nowait=True)
        equal(second.execute(locked(id + 1)).scalar_one(), 100)
        equal(fails(DBAPIError, lambda: second.execute(locked(id))).orig.pgcode, "55P03")
        second.rollback()
        with first.begin_nested():
            first.get(Account, id + 1).cents = 110
        equal([cents(second, id), cents(second, id + 1)], [100, 100])
        first.commit()
        second.rollback()
        equal([cents(second, id), cents(second, id + 1)], [90, 110])


@case
def cursors(engine, id):
    """Server-side cursors of two sessions, read in parts beside each other and beside changes."""
    with engine.connect() as first, engine.connect() as second:
        streams = [
            connection.execution_options(stream_results=True, max_row_buffer=40).execute(
                text("select n * :id from generate_series(1, 1000) n"), {"id": id + at}
            )
            for at, connection in enumerate((first, second))
        ]
        equal([row for (row,) in streams[0].fetchmany(30)], [n * id for n in range(1, 31)])
        equal([row for (row,) in streams[1].fetchmany(70)], [n * (id + 1) for n in range(1, 71)])
        with engine.begin() as third:
            third.execute(update(Account.__table__).where(Account.id == id).values(cents=1))
        equal([row for (row,) in streams[0]], [n * id for n in range(31, 1001)])
        equal([row for (row,) in streams[1]], [n * (id + 1) for n in range(71, 1001)])


main({f.__name__: f for f in (isolation, blocked, savepoints, cursors)})
