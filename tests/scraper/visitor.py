"""A `PoliteWeb` as the tests use it: quick, and what it did can be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scraper.settings import ScraperSettings
from scraper.web import Arrival, HostEvent, PoliteWeb
from scraper.web.refusal import Refused

PATIENCE = 300  # seconds; the machine may be busy

QUICK = ScraperSettings(host_delay=0, host_concurrency=0, backoff_seconds=0.02, max_bytes=10**6)


def changed(**options: Any) -> ScraperSettings:
    """`QUICK`, but for these options."""
    return QUICK.model_copy(update=options)


def kept(arrival: Arrival) -> Arrival:
    """What arrived, in its file, as its caller is to have it."""
    if arrival.held is not None:
        arrival.path.write_bytes(arrival.held)
    return arrival


class Visitor:
    """A web whose events are kept, and a folder for what it downloads."""

    def __init__(self, web: PoliteWeb, folder: Path, events: list[HostEvent]) -> None:
        self.web = web
        self.folder = folder
        self.events = events

    def download(self, url: str) -> Arrival:
        """The picture, in its file."""
        arrival = self.web.submit(self.web.download(url, self.folder)).result(PATIENCE)
        return kept(arrival)

    def download_all(self, urls: Sequence[str]) -> list[Arrival]:
        futures = [self.web.submit(self.web.download(url, self.folder)) for url in urls]
        return [kept(future.result(PATIENCE)) for future in futures]

    def refusal(self, url: str) -> Refused:
        """Why a URL is refused; no file of it is left."""
        with pytest.raises(Refused) as caught:
            self.download(url)
        assert list(self.folder.iterdir()) == []
        return caught.value

    def told(self, event: str) -> list[str]:
        """The details of all events of a kind."""
        return [each.detail for each in self.events if each.event == event]


@contextmanager
def visiting(
    folder: Path, settings: ScraperSettings = QUICK, *, allow_private: bool = True
) -> Iterator[Visitor]:
    events: list[HostEvent] = []
    with PoliteWeb(settings, allow_private=allow_private, on_host=events.append) as web:
        yield Visitor(web, folder, events)
