"""What the tests of the three search engines share: a source at the local pages, and its search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scraper.browser.image_search import ImageSearch
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError
from tests.scraper.search_pages import SearchPages

QUERY = "Ganesha statue"


class NoWeb:
    """These sources do not use it."""

    def json(self, url: str, params: Any = None) -> Any:
        raise SourceError(f"{url} is not to be asked for by this way")


def make(
    source: type[ImageSearch], pages: SearchPages, layout: str, folder: Path, **settings: Any
) -> ImageSearch:
    """A source that finds its engine at the local pages, and writes its reports to `folder`."""
    options = {"host_delay": 0, "browser_seconds": 60, "browser_reports": folder, **settings}
    made = source(NoWeb(), ScraperSettings(**options))
    made.base_url = pages.base_url(source.name, layout)
    return made


def search(source: ImageSearch, limit: int, *phrases: str) -> list[Found]:
    """All that a search finds."""
    concept = Concept("ganesha", "Ganesha", {"en": phrases or (QUERY,)})
    return list(source.search(concept, limit))
