"""Ask recorded addresses again: is the picture still there, the same, and still free to take?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from scraper.files import run_in
from scraper.flight import fly
from scraper.ledger import Ledger
from scraper.ledger.records import Health, Stored
from scraper.settings import ScraperSettings
from scraper.web import PoliteWeb
from scraper.web.refusal import Refused

GONE = {404, 410}
NO_PICTURE = {"not_a_picture", "too_large", "too_many_redirects", "bad_url"}
CLOSED = {"robots", "opted_out"}


def check(
    ledger: Ledger,
    web: PoliteWeb,
    folder: Path,
    pictures: Sequence[Stored],
    settings: ScraperSettings,
    on_answer: Callable[[Stored, Health | None, str], None] = lambda *_: None,
) -> Counter[Health | None]:
    """Ask for pictures again and record what became of their addresses.

    A server that knows the picture's tag answers without sending it; from others it is fetched
    once more and compared. Nothing in the folder changes.

    Args:
        on_answer: told of each picture, its health (None: not answered, and so not recorded) and
            why.

    Returns:
        Pictures per health.
    """
    healths: Counter[Health | None] = Counter()
    once = iter([pictures])
    with run_in(folder, ledger) as run:

        async def work(stored: Stored) -> tuple[Stored, Health | None, str]:
            return (stored, *await ask(stored, web, run.partial))

        with closing(fly(web, lambda: next(once, ()), work, settings)) as batches:
            for batch in batches:
                for stored, health, why in batch:
                    if health is not None:
                        ledger.record_check(stored.url, health)
                    healths[health] += 1
                    on_answer(stored, health, why)
    return healths


async def ask(stored: Stored, web: PoliteWeb, folder: Path) -> tuple[Health | None, str]:
    """The health of a picture's address, and a sentence where it is not alive; on the loop."""
    try:
        has_tag = bool(stored.etag or stored.last_modified)
        if has_tag and await web.is_unchanged(stored.url, stored.etag, stored.last_modified):
            return Health.ALIVE, ""
        arrival = await web.download(stored.url, folder)
    except Refused as refusal:
        return _health(refusal), str(refusal)
    arrival.discard()
    if arrival.sha256 == stored.sha256:
        return Health.ALIVE, ""
    return Health.CHANGED, "another picture is there now"


def _health(refusal: Refused) -> Health | None:
    if refusal.reason in CLOSED:
        return Health.CLOSED
    if refusal.status in GONE or refusal.reason in NO_PICTURE:
        return Health.DEAD
    return None  # a server that is down or busy says nothing about the picture
