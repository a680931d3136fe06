"""What the python programs share: arguments, checked equality, threads that all run at once, and the report.

A program is called with a case, a URL and a number of connections. It prints one line of JSON with how many answers it
checked and exits with 0, or it prints what went wrong and exits with 1.
"""

import json
import os
import sys
import threading
import traceback

checked = 0
_lock = threading.Lock()


def equal(actual, expected):
    """Fails the program unless both are equal; counts the check."""
    global checked
    if actual != expected:
        raise AssertionError(f"wrong answer: expected {expected!r}, got {actual!r}")
    with _lock:
        checked += 1


def fails(exception, work):
    """Runs `work` and fails the program unless it raises `exception`; returns what it raised."""
    try:
        work()
    except exception as error:
        equal(isinstance(error, exception), True)
        return error
    raise AssertionError(f"no {exception.__name__} was raised")


def in_threads(count, work):
    """Runs work(0) … work(count - 1) in threads at the same time; raises the first failure of any."""
    failures = []
    start = threading.Barrier(count)

    def body(index):
        try:
            start.wait()
            work(index)
        except BaseException as error:  # noqa: B902
            failures.append(error)

    threads = [threading.Thread(target=body, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main(cases):
    """Runs the case that the arguments name: CASE URL CONNECTIONS."""
    name, url, connections = sys.argv[1], sys.argv[2], int(sys.argv[3])
    try:
        cases[name](url, connections)
    except BaseException:  # noqa: B902
        traceback.print_exc()
        sys.stderr.flush()
        # Not sys.exit: threads of a driver that wait for ever must not keep the program.
        os._exit(1)
    print(json.dumps({"case": name, "checked": checked}))
