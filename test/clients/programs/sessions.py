"""What the programs with several sessions share: seeing that one waits for the other."""

import time

from checks import equal

WAITS_FOR = "select pg_blocking_pids(%s), wait_event_type from pg_stat_activity where pid = %s"


def until_waiting(fetchone, waiting, holder):
    """Returns once the backend `waiting` waits for a lock of the backend `holder`; fails after 20 seconds.

    `fetchone` runs a statement with parameters, in whatever session, and returns its row.
    """
    end = time.monotonic() + 20
    while True:
        row = fetchone(WAITS_FOR, (waiting, waiting))
        if row == ([holder], "Lock"):
            return
        if time.monotonic() > end:
            equal(row, ([holder], "Lock"))
