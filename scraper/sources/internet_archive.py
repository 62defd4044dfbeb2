"""The Internet Archive: items of the media type "image", with one picture or many.

Request: `advancedsearch.php?output=json` finds items by a phrase, the likeliest first: those that
state a licence (`licenseurl`), then the others; `metadata/<identifier>` lists the files of one,
which are at `download/<identifier>/<name>`.
Paging: `page` and `rows`, up to 10,000 items; the scraping API goes further, but by identifier.
Licence: `licenseurl`, often missing, and `rights`, in any words: uploaders state what they like.
Limits: none published; the Archive asks for a pace that leaves room for others.
https://archive.org/help/aboutsearch.htm, https://archive.org/developers/md-read.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import (
    all_phrases,
    each_answer,
    first_different,
    views_last,
    without_operators,
)
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

SITE = "https://archive.org"

ITEMS_A_REQUEST = 50
_ITEMS_AT_MOST = 10_000
_LICENSED_FIRST = ("licenseurl:*", "NOT licenseurl:*")
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif"}
_MASTERS = {".tif", ".tiff", ".jp2"}  # large; mostly a JPEG was made of each
_THUMBNAILS = re.compile(r"thumb|tile|item image|collection header", re.IGNORECASE)


class InternetArchive:
    """Pictures in items of the Internet Archive."""

    name = "internet_archive"
    needs = ""
    note = "Whatever people upload: licences are theirs to state, and many items state none."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.site = SITE

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(views_last(self._items(concept)), limit)

    def _items(self, concept: Concept) -> Iterator[list[Found]]:
        seen: set[str] = set()
        for licensed in _LICENSED_FIRST:
            for phrase in all_phrases(concept):
                words = without_operators(phrase)
                for found in self._pages(f"({words}) AND mediatype:image AND {licensed}"):
                    items = [item for item in dict.fromkeys(found) if item not in seen]
                    seen.update(items)
                    urls = (f"{self.site}/metadata/{quote(item, safe='')}" for item in items)
                    for item in each_answer(self.web, urls):
                        yield self._pictures(item, phrase)

    def _pages(self, query: str) -> Iterator[list[str]]:
        """Identifiers of items, as they come."""
        for page in range(1, _ITEMS_AT_MOST // ITEMS_A_REQUEST + 1):
            request = {
                "q": query,
                "fl[]": "identifier",
                "rows": ITEMS_A_REQUEST,
                "page": page,
                "output": "json",
            }
            answer = self.web.json(f"{self.site}/advancedsearch.php", request)
            response = expect(answer, "response", "the Internet Archive")
            items = [plain_text(at(doc, "identifier")) for doc in entries(at(response, "docs"))]
            yield list(filter(None, items))
            if not items or page * ITEMS_A_REQUEST >= (whole_number(at(response, "numFound")) or 0):
                return

    def _pictures(self, item: Any, phrase: str) -> list[Found]:
        about = at(item, "metadata")
        identifier = plain_text(at(about, "identifier"))
        return [
            Found(
                source=self.name,
                id=f"{identifier}/{at(file, 'name')}",
                url=f"{self.site}/download/{quote(identifier)}/{quote(at(file, 'name'))}",
                page=f"{self.site}/details/{quote(identifier)}",
                title=plain_text(at(about, "title")),
                creator=plain_text(at(about, "creator")),
                rights=plain_text(at(about, "rights")),
                rights_url=_first_link(at(about, "licenseurl")),
                query=phrase,
                width=whole_number(at(file, "width")),
                height=whole_number(at(file, "height")),
            )
            for file in _picture_files(entries(at(item, "files")))
            if identifier
        ]


def _picture_files(files: list[Any]) -> list[Any]:
    """The public pictures of an item: originals, or what was made of those too large to take."""
    pictures = []
    for file in files:
        is_thumbnail = _THUMBNAILS.search(f"{at(file, 'name')} {at(file, 'format')}")
        if _suffix(file, "name") not in _PICTURES or is_thumbnail or at(file, "private"):
            continue
        if at(file, "source") == "original" or _suffix(file, "original") in _MASTERS:
            pictures.append(file)
    return pictures


def _suffix(file: Any, key: str) -> str:
    name = at(file, key)
    return PurePosixPath(name).suffix.lower() if isinstance(name, str) else ""


def _first_link(value: Any) -> str:
    return next(filter(None, map(link, entries(value))), "")


SOURCE = InternetArchive
