"""Many requests in the air, and no host's queue in the way of the others'."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from scraper.settings import ScraperSettings
from scraper.web import PoliteWeb

AHEAD = 2  # requests submitted for each that may run, so that the next is there when one ends
BATCH_SHARE = 2  # of what is in the air, the part that is settled together, for that costs a write
BATCH_SECONDS = 0.1  # the longest wait of one that landed for the others of its batch
REFILL_SECONDS = 1.0  # at least, between asking for more
REFILL_SHARE = 20  # times as long as asking took, so that it takes 5 % of the time at most


class HasUrl(Protocol):
    """Anything that is to be fetched."""

    @property
    def url(self) -> str: ...


Item = TypeVar("Item", bound=HasUrl)
Result = TypeVar("Result")


def fly(
    web: PoliteWeb,
    refill: Callable[[], Sequence[Item]],
    work: Callable[[Item], Coroutine[Any, Any, Result]],
    settings: ScraperSettings,
    *,
    admit: Callable[[list[Item]], list[Item]] = lambda items: items,
) -> Generator[list[Result]]:
    """Do `work` for every item on the web's loop; yields what is done, together, when it is.

    An empty list says that nothing comes for now: what the caller has put off, it is to do then.
    One precedes the last question to `refill`.

    Closing the iterator cancels what is under way and waits until it has ended.

    Args:
        refill: asked for more items now and then, and when none is left; the end is when it has
            none then.
        admit: asked right before items start; those that it does not return are left out.

    Raises:
        Whatever `work` raises; the rest is cancelled.
    """
    turns = _Turns(settings)
    landed: SimpleQueue[tuple[Item, asyncio.Task[Result]]] = SimpleQueue()
    running: set[asyncio.Task[Result]] = set()
    airborne = 0

    def start(items: list[Item]) -> None:
        for item in items:
            task = web.loop.create_task(work(item))
            running.add(task)
            task.add_done_callback(partial(land, item))

    def land(item: Item, task: asyncio.Task[Result]) -> None:
        running.discard(task)
        task.cancelled() or task.exception()  # else asyncio complains of those that nobody takes
        landed.put((item, task))

    refill_at = 0.0
    try:
        while True:
            is_idle = not airborne and not turns
            if is_idle:
                yield []
            if is_idle or time.monotonic() > refill_at:
                asked = time.monotonic()
                turns.add(refill())
                took = time.monotonic() - asked
                refill_at = asked + max(REFILL_SECONDS, REFILL_SHARE * took)
                if is_idle and not turns:
                    return
            taken = turns.take(AHEAD * settings.concurrency - airborne)
            admitted = admit(taken) if taken else []
            turns.end(_without(taken, admitted))
            if admitted:
                airborne += len(admitted)
                web.loop.call_soon_threadsafe(start, admitted)
            if airborne:
                done = _drain(landed, airborne // BATCH_SHARE)
                airborne -= len(done)
                turns.end([item for item, _ in done])
                yield [task.result() for _, task in done]
    finally:
        if airborne:
            web.submit(_cancel(running)).result()


class _Turns:
    """Items waiting per host; `take` goes round the hosts and lets none have too many at a time."""

    def __init__(self, settings: ScraperSettings) -> None:
        self._per_host = AHEAD * (settings.host_concurrency or settings.concurrency)
        self._waiting: dict[str, deque[Any]] = {}
        self._busy: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, items: Sequence[HasUrl]) -> None:
        for item in items:
            self._waiting.setdefault(site_of(item), deque()).append(item)

    def take(self, count: int) -> list[Any]:
        taken: list[Any] = []
        free = deque(host for host in self._waiting if self._busy[host] < self._per_host)
        while free and len(taken) < count:
            host = free.popleft()
            taken.append(self._waiting[host].popleft())
            self._busy[host] += 1
            if not self._waiting[host]:
                del self._waiting[host]
            elif self._busy[host] < self._per_host:
                free.append(host)
        return taken

    def end(self, items: Sequence[HasUrl]) -> None:
        self._busy.subtract(map(site_of, items))


def site_of(item: HasUrl) -> str:
    """Host and port, as limits are kept by them."""
    try:
        return urlsplit(item.url).netloc
    except ValueError:  # the web will refuse it with a sentence
        return ""


def _without(taken: list[Any], admitted: list[Any]) -> list[Any]:
    kept = set(map(id, admitted))
    return [item for item in taken if id(item) not in kept]


def _drain(landed: SimpleQueue[Any], batch: int) -> list[Any]:
    """Wait for one, though no longer than until the next refill, a little for the rest of a batch,
    and take all that are there."""
    done = []
    try:
        done.append(landed.get(timeout=REFILL_SECONDS))
        until = time.monotonic() + BATCH_SECONDS
        while len(done) < batch:
            done.append(landed.get(timeout=max(0.0, until - time.monotonic())))
        while True:
            done.append(landed.get_nowait())
    except Empty:
        return done


async def _cancel(running: set[asyncio.Task[Result]]) -> None:
    tasks = list(running)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
