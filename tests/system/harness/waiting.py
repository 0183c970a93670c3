"""Waiting for something that becomes true, instead of sleeping."""

import time


def wait_until(condition, seconds=10.0, what=None, every=0.02):
    """Give back the first true value of condition(); AssertionError when it stays false for that long.

    what: a text, or a function that makes one (a log, say), for the error.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s: {text or condition}")
        time.sleep(every)
