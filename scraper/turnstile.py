"""Turns at hosts, shared by processes on many machines: `scraper.web.hosts`, asked from afar.

One `Turnstile` keeps the limits for all; it is a Ray actor. Every worker asks it through a
`SharedLimits`. A turn is lent: a worker that is not heard of any more, because it was killed or its
machine is gone, loses its turns, and its hosts go on to the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from scraper.settings import ScraperSettings
from scraper.web.hosts import HostLimits
from scraper.web.refusal import Refused

BEAT_SECONDS = 2.0  # between a worker's signs of life ...
LEASE_SECONDS = 10.0  # ... and how long it keeps its turns without one


@dataclass(frozen=True)
class _Turn:
    worker: str
    host: str
    grant: asyncio.Task[float]


class Turnstile:
    """The limits of all hosts, for all workers; on one event loop."""

    def __init__(self, settings: ScraperSettings, lease_seconds: float = LEASE_SECONDS) -> None:
        self._limits = HostLimits(settings)
        self._lease_seconds = lease_seconds
        self._turns: dict[str, _Turn] = {}
        self._heard: dict[str, float] = {}

    async def acquire(self, worker: str, ticket: str, host: str) -> float | Refused:
        """Wait for a turn at `host`: see `HostLimits.acquire`; its refusal is returned.

        Args:
            ticket: what `release` will name the turn by.
        """
        self.beat(worker)
        grant = asyncio.create_task(self._limits.acquire(host))
        self._turns[ticket] = _Turn(worker, host, grant)
        await asyncio.wait([grant])
        if grant.cancelled():  # released before its time: nobody waits for it any more
            return 0.0
        if error := grant.exception():
            self._turns.pop(ticket, None)
            if isinstance(error, Refused):
                return error
            raise error
        return grant.result()

    def release(self, ticket: str) -> None:
        """Give a turn back, or stop waiting for it; one that has expired is no matter."""
        turn = self._turns.pop(ticket, None)
        if turn and not turn.grant.cancel() and not turn.grant.exception():
            self._limits.release(turn.host)

    def beat(self, worker: str) -> None:
        """A worker's sign of life; whoever gave none for too long loses its turns."""
        now = time.monotonic()
        self._heard[worker] = now
        for other, heard in list(self._heard.items()):
            if now - heard > self._lease_seconds:
                self.leave(other)

    def leave(self, worker: str) -> None:
        """Take back all turns of a worker."""
        self._heard.pop(worker, None)
        for ticket in [ticket for ticket, turn in self._turns.items() if turn.worker == worker]:
            self.release(ticket)

    def slow_down(self, host: str, delay: float) -> None:
        """See `HostLimits`."""
        self._limits.slow_down(host, delay)

    def rest(self, host: str, seconds: float) -> None:
        """See `HostLimits`."""
        self._limits.rest(host, seconds)


class SharedLimits(HostLimits):
    """A worker's way to the turnstile; what it inherits is only what it knows by itself."""

    def __init__(self, settings: ScraperSettings, turnstile: Any) -> None:
        """`turnstile`: the handle of an actor that is a `Turnstile`."""
        super().__init__(settings)
        self._turnstile = turnstile
        self._worker = uuid4().hex
        self._tickets: defaultdict[str, list[str]] = defaultdict(list)

    async def acquire(self, host: str) -> float:
        """See `HostLimits`."""
        ticket = uuid4().hex
        try:
            waited = await self._turnstile.acquire.remote(self._worker, ticket, host)
        except BaseException:
            self._turnstile.release.remote(ticket)
            raise
        if isinstance(waited, Refused):
            raise waited
        self._tickets[host].append(ticket)
        return waited

    def release(self, host: str) -> None:
        """See `HostLimits`."""
        self._turnstile.release.remote(self._tickets[host].pop())

    def slow_down(self, host: str, delay: float) -> bool:
        """See `HostLimits`; whether it is news is said for this worker."""
        is_news = super().slow_down(host, delay)
        if is_news:
            self._turnstile.slow_down.remote(host, delay)
        return is_news

    def rest(self, host: str, seconds: float) -> None:
        """See `HostLimits`."""
        self._turnstile.rest.remote(host, seconds)

    async def stay(self) -> None:
        """Give signs of life, for ever; on the loop that asks for turns."""
        while True:
            self._turnstile.beat.remote(self._worker)
            await asyncio.sleep(BEAT_SECONDS)

    def leave(self) -> None:
        """Give back whatever is left, at the end."""
        self._turnstile.leave.remote(self._worker)
