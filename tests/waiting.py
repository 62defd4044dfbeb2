"""Waiting for what another thread or process is about to do, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300  # seconds; far more than anything here takes, for the machine may be busy


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Return as soon as `condition` holds; it is asked every few milliseconds.

    Raises:
        TimeoutError: it did not hold within `seconds`; the traceback shows what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"What the test waits for did not come within {seconds:g} seconds.")
        time.sleep(0.01)
