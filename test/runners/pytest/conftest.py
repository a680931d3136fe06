import os

import psycopg
import pytest


@pytest.fixture(scope="session")
def database_url():
    """Each worker of pytest-xdist has a branch, which the server makes when the worker first connects."""
    return f'{os.environ["DATABASE_URL"]}~{os.environ["PYTEST_XDIST_WORKER"]}'


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url) as connection:
        yield connection
