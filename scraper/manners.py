"""What politeness does at each host is written down, for `status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread

from scraper.ledger import Ledger
from scraper.ledger.database import LedgerError
from scraper.web import HostEvent


class HostNotes:
    """Takes events from a `PoliteWeb`, without making it wait, and writes them to a ledger."""

    def __init__(self) -> None:
        self._events: SimpleQueue[HostEvent | None] = SimpleQueue()

    def take(self, event: HostEvent) -> None:
        """To be given to a `PoliteWeb` as its `on_host`."""
        self._events.put(event)

    @contextmanager
    def written_to(self, ledger: Ledger) -> Iterator[None]:
        """Write while the context lasts; what came until its end is in the ledger then."""
        writer = Thread(target=self._write, args=(ledger,), name="host notes")
        writer.start()
        try:
            yield
        finally:
            self._events.put(None)
            writer.join()

    def _write(self, ledger: Ledger) -> None:
        ended = False
        while not ended:
            events = self._next()
            ended = None in events
            times = Counter((event.host, event.event) for event in events if event)
            details = {(event.host, event.event): event.detail for event in events if event}
            try:
                ledger.record_host_events([(*key, n, details[key]) for key, n in times.items()])
            except LedgerError:  # whoever downloads meets the same error, and says so
                return

    def _next(self) -> list[HostEvent | None]:
        """Wait for an event, and take all that are there."""
        events = [self._events.get()]
        while True:
            try:
                events.append(self._events.get_nowait())
            except Empty:
                return events
