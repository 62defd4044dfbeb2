"""Whose turn it is: how many requests there are at a time, and how soon a host gets the next.

The only place that keeps such limits. Whoever works in many processes has to share no more than one
`HostLimits`: its methods take and return plain values.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from scraper.settings import ScraperSettings
from scraper.web.refusal import Refused


@dataclass(frozen=True)
class HostEvent:
    """What politeness did at a host.

    Attributes:
        host: its name, with the port unless that is the scheme's own.
        event: `delayed` (once a run), `crawl_delay`, `retry_after`, `robots_disallowed`,
            `robots_unreadable` or `opted_out`.
        detail: one phrase for a table.
    """

    host: str
    event: str
    detail: str = ""


class HostLimits:
    """Delay, concurrency and rest of every host, for all who work on one event loop."""

    def __init__(self, settings: ScraperSettings) -> None:
        self._settings = settings
        self._hosts: dict[str, _Host] = {}
        self._places = asyncio.Semaphore(settings.concurrency)

    async def acquire(self, host: str) -> float:
        """Wait for a turn at `host`, to be given back by `release`.

        Returns:
            Seconds for which the host's delay and concurrency kept us waiting, its rest apart.

        Raises:
            Refused: `rate_limited`, the host asked to be left alone, now or between two requests,
                for longer than our patience.
        """
        state = self._state(host)
        asked = time.monotonic()
        await state.places.acquire()
        try:
            waited = time.monotonic() - asked
            async with state.turn:
                waited += max(0.0, state.next_at - time.monotonic())
                await self._wait(host, state)
                await self._places.acquire()  # last, so that a slow host keeps nobody else waiting
                state.next_at = time.monotonic() + state.delay
        except BaseException:
            state.places.release()
            raise
        return waited

    def release(self, host: str) -> None:
        """Give a turn back."""
        self._places.release()
        self._state(host).places.release()

    def slow_down(self, host: str, delay: float) -> bool:
        """Leave at least `delay` seconds between requests; False where that was so already."""
        state = self._state(host)
        is_news = delay > state.delay
        state.delay = max(state.delay, delay)
        return is_news

    def rest(self, host: str, seconds: float) -> None:
        """Leave the host alone for so long."""
        state = self._state(host)
        state.rests_until = max(state.rests_until, time.monotonic() + seconds)

    def describe(self, host: str) -> str:
        """The host's limits as a phrase."""
        concurrency = self._settings.host_concurrency or "any number"
        return f"{self._state(host).delay:g} s between requests, {concurrency} at a time"

    async def _wait(self, host: str, state: _Host) -> None:
        while (left := max(state.next_at, state.rests_until) - time.monotonic()) > 0:
            rest = state.rests_until - time.monotonic()
            if state.delay > self._own_delay(host):  # for a pace of our own choice is no wish of it
                rest = max(rest, state.next_at - time.monotonic())
            if rest > self._settings.patience_seconds:
                raise Refused("rate_limited", host, f"for {rest:.0f} s more", retry="later")
            await asyncio.sleep(left)  # and look again: a rest may have come up meanwhile

    def _state(self, host: str) -> _Host:
        if host not in self._hosts:
            concurrency = self._settings.host_concurrency or sys.maxsize
            self._hosts[host] = _Host(self._own_delay(host), concurrency)
        return self._hosts[host]

    def _own_delay(self, host: str) -> float:
        """The pace that our settings give a host, whatever it asks for itself."""
        return self._settings.host_delays.get(host, self._settings.host_delay)


class _Host:
    """One host's state; moments are those of `time.monotonic`."""

    def __init__(self, delay: float, concurrency: int) -> None:
        self.delay = delay
        self.places = asyncio.Semaphore(concurrency)
        self.turn = asyncio.Lock()  # whoever holds it is the next to ask
        self.next_at = 0.0
        self.rests_until = 0.0


def parse_retry_after(wish: str) -> float | None:
    """Seconds to wait by a `Retry-After` header, or None where it says nothing that makes sense."""
    if wish.strip().isdecimal():
        return float(wish)
    try:
        moment = parsedate_to_datetime(wish)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
