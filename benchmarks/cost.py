"""What a piece of work takes, in time of the clock and of the processors.

A module of its own: worker processes import the benchmark that they are started from, and are to
import little else.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What a piece of work took, in seconds: of the clock, and of processors in all processes."""

    clock: float
    processors: float

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.processors:.1f} s)"


def timed(work: Callable[[], T]) -> tuple[T, Cost]:
    """Do a piece of work, and what it took; processes that it started must have ended with it."""
    clock, processors = time.perf_counter(), processor_seconds()
    result = work()
    return result, Cost(time.perf_counter() - clock, processor_seconds() - processors)


def processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
