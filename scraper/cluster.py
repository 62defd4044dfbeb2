"""Finding and downloading as Ray tasks, on as many machines as a cluster has.

The ledger is a PostgreSQL database, the dataset folder lies on a disk that all nodes share, and one
turnstile lends turns at hosts. A node that dies takes nothing along: its tasks start again on
another one, where what the ledger has settled is not repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ideitify.engine import cluster, run
from scraper import download, find
from scraper.files import recover, run_in
from scraper.flight import site_of
from scraper.ledger import Ledger
from scraper.ledger.records import Item, Settled, now
from scraper.lookers import Lookers
from scraper.manners import HostNotes
from scraper.settings import ScraperSettings
from scraper.source import Concept
from scraper.turnstile import SharedLimits, Turnstile
from scraper.web import PoliteWeb

LOT = 200  # pictures per task: its beginning takes far less time than the rest
Notes = list[tuple[str, tuple[Any, ...]]]  # calls of a board's methods
MANY = 10**6  # calls that the turnstile takes at a time; nearly all of them wait


@dataclass(frozen=True)
class Site:
    """What every task needs to know; sent to the nodes, never stored.

    Attributes:
        ledger: URL of the database.
        folder: the dataset folder, absolute, at the same path on all nodes.
        address: of the Ray cluster; None for the one that Ray finds.
    """

    ledger: str
    folder: Path
    settings: ScraperSettings
    allow_private: bool
    address: str | None


@dataclass(frozen=True)
class _Search:
    """One source, searched for all concepts, one after the other."""

    site: Site
    turnstile: Any
    source: str
    concepts: tuple[Concept, ...]
    limit: int
    again: bool


@dataclass(frozen=True)
class _Lot:
    """Pictures that one task downloads."""

    site: Site
    turnstile: Any
    items: tuple[Item, ...]


def find_on_cluster(
    site: Site,
    sources: Sequence[str],
    concepts: Sequence[Concept],
    limit: int,
    board: find.Board,
    *,
    again: bool = False,
) -> None:
    """Search as `scraper.find.find` does, a task per source, named as for `make_source`.

    Raises:
        EngineError: no such cluster, or it gave up.
    """
    with _turnstile(site) as turnstile:
        searches = [
            _Search(site, turnstile, source, tuple(concepts), limit, again) for source in sources
        ]
        for _, notes in run(searches, _search, engine="ray", address=site.address):
            _tell(board, notes)


def download_on_cluster(
    ledger: Ledger, site: Site, wanted: download.Wanted, board: download.Board
) -> None:
    """Download as `scraper.download.download` does, a task per lot of pictures.

    Raises:
        EngineError: no such cluster, or it gave up.
    """
    since = now()
    settled: set[str] = set()  # here too: the nodes' clocks may differ from ours

    def planned() -> list[Item]:
        recover(site.folder, ledger)  # what nodes that died had claimed
        items = ledger.plan(wanted.selection, wanted.permits, wanted.limit, since, wanted.again)
        return [item for item in items if item.key not in settled]

    with _turnstile(site) as turnstile:
        while items := planned():
            board.plan(items)
            tasks = (_Lot(site, turnstile, lot) for lot in lots(items))
            for _, notes in run(tasks, _download, engine="ray", address=site.address):
                _tell(board, notes)
                settled.update(one.attempt.item.key for _, (one,) in notes)


def _tell(board: find.Board | download.Board, notes: Notes) -> None:
    for name, arguments in notes:
        getattr(board, name)(*arguments)


def lots(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """Cut into lots, each of as many hosts as there are: one host's queue occupies no worker."""
    seen: Counter[str] = Counter()
    ranked = []
    for item in items:
        site = site_of(item)
        ranked.append((seen[site], item))
        seen[site] += 1
    ranked.sort(key=lambda pair: pair[0])
    for start in range(0, len(ranked), LOT):
        yield tuple(item for _, item in ranked[start : start + LOT])


@contextmanager
def _turnstile(site: Site) -> Iterator[Any]:
    """The actor that lends turns; on this node, so that it lives as long as what it is for."""
    with cluster(site.address) as ray:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        settings = site.settings.model_copy(
            update={"concurrency": workers * site.settings.concurrency}
        )
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(Turnstile).options(
            num_cpus=0, max_concurrency=MANY, scheduling_strategy=here
        )
        yield actor.remote(settings)


# On the nodes


class _Notebook:
    """A board that writes down what it is told: (method, arguments)."""

    def __init__(self) -> None:
        self.notes: Notes = []

    def search(self, source: str, slug: str) -> None:
        self.notes.append(("search", (source, slug)))

    def find(self, source: str, count: int) -> None:
        self.notes.append(("find", (source, count)))

    def fail(self, source: str, message: str) -> None:
        self.notes.append(("fail", (source, message)))

    def plan(self, items: Sequence[Item]) -> None:
        """The whole plan is known where the tasks come from."""

    def settle(self, settled: Settled) -> None:
        self.notes.append(("settle", (settled,)))


def _search(search: _Search) -> Notes:
    from scraper.sources import make_source

    book = _Notebook()
    with _at(search.site, search.turnstile) as (ledger, web):
        source = make_source(search.source, web, search.site.settings)
        find.find(ledger, [source], search.concepts, search.limit, book, again=search.again)
    return book.notes


def _download(lot: _Lot) -> Notes:
    """Download one lot; what another run has, or has done, is left out."""
    site, book, waiting = lot.site, _Notebook(), [lot.items]

    def refill() -> Sequence[Item]:
        return waiting.pop() if waiting else []

    with (
        _at(site, lot.turnstile) as (ledger, web),
        run_in(site.folder, ledger) as here,
        # the cluster's other tasks are the other processes
        Lookers(download.photo_limits(site.settings), partial(ThreadPoolExecutor, 1)) as lookers,
    ):
        download.download_items(ledger, web, here, refill, site.settings, book, lookers)
    return book.notes


@contextmanager
def _at(site: Site, turnstile: Any) -> Iterator[tuple[Ledger, PoliteWeb]]:
    """Ledger and web of one task."""
    notes = HostNotes()
    limits = SharedLimits(site.settings, turnstile)
    web = PoliteWeb(
        site.settings, allow_private=site.allow_private, on_host=notes.take, limits=limits
    )
    with Ledger(site.ledger) as ledger, notes.written_to(ledger):
        with web:
            web.submit(limits.stay())
            yield ledger, web
        limits.leave()
