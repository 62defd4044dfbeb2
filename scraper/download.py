"""Fetch what the ledger plans, look at it, and keep what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Protocol

from PIL import ExifTags, Image

from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import PhotoError, open_photo
from ideitify.settings import Settings
from scraper.files import Run, run_in
from scraper.flight import fly
from scraper.ledger import Ledger
from scraper.ledger.records import Arrived, Attempt, Item, Selection, Settled, now
from scraper.settings import ScraperSettings
from scraper.web import Arrival, PoliteWeb
from scraper.web.refusal import Refused

HASH_SIDE = 64  # pixels; twice that of the picture that is hashed
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
        clock: the same moment, in the seconds of `time.monotonic`.
    """

    item: Item
    started_at: str
    clock: float
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
    """
    seen: set[str] = set()
    since = now()

    def refill() -> list[Item]:
        items = ledger.plan(wanted.selection, wanted.permits, wanted.limit, since, wanted.again)
        fresh = [item for item in items if item.key not in seen]
        seen.update(item.key for item in fresh)
        board.plan(fresh)
        return fresh

    with run_in(folder, ledger) as run:
        while True:
            finding = is_finding()  # asked first: what was found before its end is in the plan
            download_items(ledger, web, run, refill, settings, board)
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
) -> None:
    """Download items as long as `refill` has more, as far as no other run has claimed them."""
    limits = Settings(max_bytes=settings.max_bytes)  # the core's for photos, but for their size
    with ThreadPoolExecutor(os.cpu_count()) as threads:

        async def work(item: Item) -> Landing:
            return await fetch(item, web, run.partial)

        def claim(items: list[Item]) -> list[Item]:
            return ledger.claim(items, run.id)

        with closing(fly(web, refill, work, settings, admit=claim)) as batches:
            for landings in batches:
                attempts = threads.map(partial(look_at, run=run, limits=limits), landings)
                for settled in ledger.settle(list(attempts)):
                    run.put_away(settled)
                    board.settle(settled)


async def fetch(item: Item, web: PoliteWeb, folder: Path) -> Landing:
    """Try to download one item, on the web's loop; this includes waiting for a turn."""
    started_at, clock = now(), time.monotonic()
    try:
        return Landing(item, started_at, clock, await web.download(item.url, folder))
    except Refused as refusal:
        return Landing(item, started_at, clock, refusal)


def look_at(landing: Landing, run: Run, limits: Settings) -> Attempt:
    """Decode what arrived as far as its hash needs, and have it in a file that is complete."""
    item, got = landing.item, landing.got
    arrived, reason, detail, retry = None, "", "", False
    if isinstance(got, Refused):
        reason, detail, retry = got.reason, str(got), got.retry_later
    else:
        try:
            arrived = _looked_at(got, limits)
            run.complete(got.keep(), item, got.sha256, got.suffix)
        except PhotoError as error:
            got.discard()
            what = str(error).partition(":")[0]  # what follows is advice to whoever sends a photo
            reason, detail = error.reason, f"It arrived and cannot be used. {what}."
    seconds = round(time.monotonic() - landing.clock, 3)
    return Attempt(item, landing.started_at, seconds, arrived, reason, detail, retry)


def _looked_at(arrival: Arrival, limits: Settings) -> Arrived:
    look = perceptual_hash(open_photo(arrival.content, side=HASH_SIDE, limits=limits))
    width, height = upright_size(arrival.content)
    return Arrived(
        arrival.url, arrival.sha256, look, arrival.suffix, arrival.size, width, height,
        arrival.etag, arrival.last_modified,
    )  # fmt: skip


def upright_size(content: bytes | Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture that `open_photo` reads, as it is shown."""
    with Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image:
        return (image.height, image.width) if _lies_on_its_side(image) else image.size


def _lies_on_its_side(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
    except Exception:  # Pillow's parser raises nearly anything, and the picture outranks its EXIF
        return False
