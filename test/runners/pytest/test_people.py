import os

import pytest

done = []


@pytest.mark.parametrize("number", range(40))
def test_only_this_worker_has_written_here(connection, number):
    worker = os.environ["PYTEST_XDIST_WORKER"]
    (name,) = connection.execute("select current_database()").fetchone()
    assert name.endswith(f"~{worker}")
    # A name that is unique, and the same for all workers.
    connection.execute("insert into people (name) values (%s)", [f"person {len(done)}"])
    connection.commit()
    done.append(number)
    names = {name for (name,) in connection.execute("select name from people")}
    assert names == {"Ada", *(f"person {index}" for index in range(len(done)))}
