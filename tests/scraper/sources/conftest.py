"""A site that plays the APIs, the web that asks it, and a concept to look for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scraper.settings import ScraperSettings
from scraper.source import Concept
from scraper.web import PoliteWeb
from tests.scraper.sources.site import Site, serve

QUICK = ScraperSettings(
    contact="tests@example.org", host_delay=0, host_delays={}, host_concurrency=0, retries=0
)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        yield site


@pytest.fixture(scope="session")
def web() -> Iterator[PoliteWeb]:
    with PoliteWeb(QUICK, allow_private=True) as web:
        yield web


@pytest.fixture
def settings() -> ScraperSettings:
    return QUICK


@pytest.fixture
def oshun() -> Concept:
    """Search terms alone: no Wikidata item, no concept URI, no category."""
    return Concept("oshun", "Oshun", {"en": ("Oshun statue",)})
