"""Fetch what the ledger plans, look at it, and keep what is new."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ideitify.engine import processes
from ideitify.photo import PhotoError
from ideitify.settings import Settings
from scraper.files import Run, run_in
from scraper.flight import fly
from scraper.ledger import Ledger
from scraper.ledger.records import Arrived, Attempt, Item, Selection, Settled, now
from scraper.look import Look
from scraper.lookers import Lookers, Looking
from scraper.settings import ScraperSettings
from scraper.web import Arrival, PoliteWeb
from scraper.web.refusal import Refused

PUT_OFF = 1  # batches looked at while the next one arrives; a kill loses these too
SECONDS_BETWEEN_PLANS = 1.0  # while finding goes on and nothing is left to download


@dataclass(frozen=True)
class Wanted:
    """What to download.

    Attributes:
        permits: values of `License.permits`.
        limit: pictures per class and source.
        again: also what was refused for good in an earlier run.
    """

    selection: Selection
    permits: Collection[str]
    limit: int
    again: bool = False


@dataclass(frozen=True)
class Landing:
    """What one try to download an item brought: a picture nobody has looked at, or a refusal.

    Attributes:
        started_at: as `now` gives it.
    """

    item: Item
    started_at: str
    got: Arrival | Refused


class Board(Protocol):
    """Who shows how far things are."""

    def plan(self, items: Sequence[Item]) -> None: ...
    def settle(self, settled: Settled) -> None: ...


def download(
    ledger: Ledger,
    web: PoliteWeb,
    folder: Path,
    wanted: Wanted,
    settings: ScraperSettings,
    board: Board,
    *,
    is_finding: Callable[[], bool] = lambda: False,
) -> None:
    """Download until nothing is left of what is wanted.

    May be interrupted at any moment, and run in several processes on one ledger.

    Args:
        is_finding: whether more may still be found; asked before each plan.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
        LedgerError: see there.
        EngineError: no process that looks at pictures lives.
    """
    seen: set[str] = set()
    since = now()

    def refill() -> list[Item]:
        items = ledger.plan(wanted.selection, wanted.permits, wanted.limit, since, wanted.again)
        fresh = [item for item in items if item.key not in seen]
        seen.update(item.key for item in fresh)
        board.plan(fresh)
        return fresh

    workers = max(1, (os.cpu_count() or 1) - 1)  # one for what arrives
    lookers = Lookers(photo_limits(settings), partial(processes, workers))
    # The run ends after them: what they are still writing is removed with it.
    with run_in(folder, ledger) as run, lookers:
        while True:
            finding = is_finding()  # asked first: what was found before its end is in the plan
            download_items(ledger, web, run, refill, settings, board, lookers)
            if not finding:
                return
            time.sleep(SECONDS_BETWEEN_PLANS)


def download_items(
    ledger: Ledger,
    web: PoliteWeb,
    run: Run,
    refill: Callable[[], Sequence[Item]],
    settings: ScraperSettings,
    board: Board,
    lookers: Lookers,
) -> None:
    """Download items as long as `refill` has more, as far as no other run has claimed them.

    Args:
        lookers: who looks at pictures, while others arrive.
    """
    looking: deque[tuple[list[Landing], Looking]] = deque()

    async def work(item: Item) -> Landing:
        return await fetch(item, web, run.partial)

    def claim(items: list[Item]) -> list[Item]:
        return ledger.claim(items, run.id)

    def look(landings: list[Landing]) -> None:
        arrivals = [one.got for one in landings if isinstance(one.got, Arrival)]
        pictures = [(arrival.path, arrival.held) for arrival in arrivals]
        looking.append((landings, lookers.submit(pictures)))

    def settle() -> None:
        landings, pictures = looking.popleft()
        found = iter(lookers.looks(pictures))
        attempts = [
            _attempt(one, next(found) if isinstance(one.got, Arrival) else None, run)
            for one in landings
        ]
        for settled in ledger.settle(attempts):
            run.put_away(settled)
            board.settle(settled)

    with closing(fly(web, refill, work, settings, admit=claim)) as batches:
        for landings in batches:
            if landings:
                look(landings)
            while looking and (not landings or len(looking) > PUT_OFF or looking[0][1].is_done):
                settle()


def photo_limits(settings: ScraperSettings) -> Settings:
    """The core's limits on photos, but for their size."""
    return Settings(max_bytes=settings.max_bytes)


async def fetch(item: Item, web: PoliteWeb, folder: Path) -> Landing:
    """Try to download one item, on the web's loop; this includes waiting for a turn."""
    started_at = now()
    got: Arrival | Refused
    try:
        got = await web.download(item.url, folder)
    except Refused as refusal:
        got = refusal
    return Landing(item, started_at, got)


def _attempt(landing: Landing, look: Look | PhotoError | None, run: Run) -> Attempt:
    """What the ledger is to record; a picture that can be used then has its complete name."""
    item, got = landing.item, landing.got
    arrived, reason, detail, retry = None, "", "", False
    if isinstance(got, Refused):
        reason, detail, retry = got.reason, str(got), got.retry_later
    elif isinstance(look, Look):
        run.complete(got.path, item, got.sha256, got.suffix)
        arrived = Arrived(
            got.url, got.sha256, look.perceptual_hash, got.suffix, got.size, look.width,
            look.height, got.etag, got.last_modified,
        )  # fmt: skip
    elif look:
        what = str(look).partition(":")[0]  # what follows is advice to whoever sends a photo
        reason, detail = look.reason, f"It arrived and cannot be used. {what}."
    return Attempt(item, landing.started_at, arrived, reason, detail, retry)
