"""What a command works with: the ledger, the web, the sources, the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scraper.choice import plain_names
from scraper.options import Engine
from scraper.terminal import refuse

if TYPE_CHECKING:
    from scraper.cluster import Site
    from scraper.ledger import Ledger
    from scraper.settings import ScraperSettings
    from scraper.source import Source
    from scraper.web import PoliteWeb


@dataclass(frozen=True)
class Work:
    """What commands that go to the web work with."""

    ledger: Ledger
    web: PoliteWeb
    settings: ScraperSettings
    sources: Sequence[Source]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources, without what they are told to read."""
        return plain_names([source.name for source in self.sources])


@contextmanager
def open_work(
    out: Path,
    ledger: str | None,
    specs: Sequence[str] | None,
    allow_private: bool,
    show_browser: bool = False,
) -> Iterator[Work]:
    """Make the sources (None: not needed), and only then begin to write."""
    from scraper.manners import HostNotes
    from scraper.web import PoliteWeb

    settings = load_settings(show_browser)
    notes = HostNotes()
    web = PoliteWeb(settings, allow_private=allow_private, on_host=notes.take)
    sources = [] if specs is None else _make_sources(specs, web, settings)
    out.mkdir(parents=True, exist_ok=True)
    with open_ledger(out, ledger) as record, notes.written_to(record), web:
        yield Work(record, web, settings, sources)


def _make_sources(specs: Sequence[str], web: PoliteWeb, settings: ScraperSettings) -> list[Source]:
    from scraper.sources import default_sources, make_source

    if specs:
        return [make_source(spec, web, settings) for spec in dict.fromkeys(specs)]
    return default_sources(web, settings)


def open_ledger(out: Path, place: str | None) -> Ledger:
    """The ledger of a dataset folder, or the database that takes its place."""
    from scraper.ledger import LEDGER_NAME, Ledger

    return Ledger(place or out / LEDGER_NAME)


def must_exist(out: Path, place: str | None) -> None:
    """Refuse a folder in which nothing was collected."""
    from scraper.ledger import LEDGER_NAME

    if not place and not (out / LEDGER_NAME).is_file():
        refuse(f"nothing was collected in {out} yet: harvest first, or name the folder with --out")


def must_be_shared(engine: Engine, place: str | None) -> None:
    """Refuse a cluster whose nodes would not write to the same ledger."""
    if engine is Engine.RAY and not (place or "").startswith("postgresql"):
        refuse(
            "a cluster's nodes meet in a PostgreSQL database: name it with "
            "--ledger postgresql+psycopg://host/name"
        )


def cluster_site(
    out: Path,
    ledger: str | None,
    allow_private: bool,
    address: str | None,
    settings: ScraperSettings,
) -> Site:
    """Where the nodes of a cluster find what they share."""
    from scraper.cluster import Site

    return Site(ledger or "", out.resolve(), settings, allow_private, address)


def load_settings(show_browser: bool = False) -> ScraperSettings:
    """The settings, refused in a sentence where they cannot be used."""
    from scraper.settings import scraper_settings

    try:
        settings = scraper_settings()
    except ValueError as error:  # pydantic's for a bad value, tomllib's for a bad file
        refuse(f"the settings cannot be used: {error}")
    return settings.model_copy(update={"show_browser": True}) if show_browser else settings
