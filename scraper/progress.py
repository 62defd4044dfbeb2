"""How far a run is: a live table per source on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from threading import RLock

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from scraper.ledger.records import Item, Settled

LINE_SECONDS = 10.0  # between lines of a log
COLUMNS = ("found", "to fetch", "stored", "duplicate", "refused", "failed", "withdrawn", "MB")


class Board:
    """Counts what happens per source and shows it; a context manager, used from several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = RLock()
        self._counts: dict[str, Counter[str]] = {}
        self._doing: dict[str, str] = {}
        self._printed_at = time.monotonic()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> Board:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if self._counts and not self._console.is_terminal:
            self._print_lines()

    def search(self, source: str, slug: str) -> None:
        """A source begins to look for a class."""
        with self._lock:
            self._doing[source] = slug
            self._count(source)

    def find(self, source: str, count: int) -> None:
        """A source found so many more."""
        self._count(source, found=count)

    def fail(self, source: str, message: str) -> None:
        """A search went wrong."""
        self._console.print(Text(f"{source}: {message}", style="red"), soft_wrap=True)

    def plan(self, items: Sequence[Item]) -> None:
        """So many more are to be downloaded."""
        for source, count in Counter(item.source for item in items).items():
            self._count(source, **{"to fetch": count})

    def settle(self, settled: Settled) -> None:
        """A download ended."""
        arrived = settled.attempt.arrived
        more = {"to fetch": -1, settled.outcome.value: 1, "MB": arrived.size if arrived else 0}
        self._count(settled.attempt.item.source, **more)

    def _count(self, source: str, **more: int) -> None:
        with self._lock:
            self._counts.setdefault(source, Counter()).update(more)
            late = time.monotonic() - self._printed_at > LINE_SECONDS
            if late and not self._console.is_terminal:
                self._print_lines()

    def _print_lines(self) -> None:
        self._printed_at = time.monotonic()
        for source, row in self._rows():
            counts = ", ".join(f"{value} {name}" for name, value in row.items() if value != "0")
            doing = f" (searching for {self._doing[source]})" if source in self._doing else ""
            self._console.print(f"{source}: {counts or 'nothing yet'}{doing}", soft_wrap=True)

    def _table(self) -> Table:
        numbers = [Column(name, justify="right", no_wrap=True) for name in COLUMNS]
        table = Table("source", "class", *numbers)
        with self._lock:
            for source, row in self._rows():
                table.add_row(source, self._doing.get(source, ""), *row.values())
        return table

    def _rows(self) -> list[tuple[str, dict[str, str]]]:
        """What to show per source; the counter "MB" counts bytes."""
        with self._lock:
            return [
                (source, {name: f"{_shown(name, counts[name])}" for name in COLUMNS})
                for source, counts in sorted(self._counts.items())
            ]


def _shown(name: str, count: int) -> int:
    return round(count / 1e6) if name == "MB" else count
