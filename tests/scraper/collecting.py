"""What tests that collect from the museum share."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ideitify.licenses import normalize
from scraper.download import Wanted, download
from scraper.ledger import Ledger
from scraper.ledger.records import Item, Selection, Settled
from scraper.settings import ScraperSettings
from scraper.source import Found
from scraper.web import PoliteWeb
from tests.scraper.museum import Museum

HURRIED = ScraperSettings(
    host_delay=0, host_concurrency=8, backoff_seconds=0.05, retries=2, patience_seconds=5
)
EVERYTHING = Wanted(Selection(), {"open", "noncommercial", "restricted", "unknown"}, limit=10_000)


class Tally:
    """A board that only counts."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.planned: list[Item] = []
        self.found: Counter[str] = Counter()
        self.failures: list[str] = []

    def plan(self, items: Sequence[Item]) -> None:
        self.planned += items

    def settle(self, settled: Settled) -> None:
        self.outcomes[settled.outcome.value] += 1

    def search(self, source: str, slug: str) -> None:
        self.found[source] += 0

    def find(self, source: str, count: int) -> None:
        self.found[source] += count

    def fail(self, source: str, message: str) -> None:
        self.failures.append(f"{source}: {message}")


@contextmanager
def collection(folder: Path, urls: Iterable[str] = (), slug: str = "ganesha") -> Iterator[Ledger]:
    """The ledger of a dataset folder, in which pictures were found but none is downloaded yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder / "ledger.sqlite") as ledger:
        add(ledger, urls, slug)
        yield ledger


def add(ledger: Ledger, urls: Iterable[str], slug: str = "ganesha", rights: str = "CC0") -> None:
    """Record finds, each by its address."""
    ledger.add_concept(slug, slug.title(), "words")
    found = [Found("urls", url, url, page=f"{url}?page", rights=rights) for url in urls]
    ledger.record_finds(slug, [(one, normalize(one.rights)) for one in found])


def fetch(
    ledger: Ledger,
    folder: Path,
    wanted: Wanted = EVERYTHING,
    settings: ScraperSettings = HURRIED,
) -> Counter[str]:
    """Download from servers on this machine; returns how many had which outcome."""
    tally = Tally()
    with PoliteWeb(settings, allow_private=True) as web:
        download(ledger, web, folder, wanted, settings, tally)
    return tally.outcomes


def asked(museum: Museum) -> dict[str, int]:
    """How often the museum was asked for each path, robots.txt aside."""
    return {path: times for path, times in museum.counts().items() if path != "/robots.txt"}


def files_in(folder: Path) -> set[str]:
    """Names of the pictures, and of anything else that lies around, relative to the folder."""
    ours = {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "metadata.csv"}
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in paths} - ours


def assert_consistent(folder: Path) -> None:
    """The ledger and the folder say the same, and every picture is whole."""
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = dict(
            connection.execute(
                "SELECT file_name, sha256 FROM pictures WHERE withdrawn_at IS NULL"
            ).fetchall()
        )
        links = connection.execute(
            "SELECT count(*) FROM links WHERE (state = 'stored') != (key IN "
            "(SELECT link FROM pictures WHERE withdrawn_at IS NULL)) OR run IS NOT NULL"
        )
        assert links.fetchone() == (0,)
    assert files_in(folder) == set(stored)
    for name, sha256 in stored.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
