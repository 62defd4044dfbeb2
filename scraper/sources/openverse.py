"""Openverse: a search engine for openly licensed pictures at Flickr and many other places.

Request: `v1/images/` with `q`; `excluded_source` leaves out what we ask at its own place.
Paging: `page`, up to `page_count`; without a key an answer has 20 pictures and a search 12 pages.
Licence: `license` (`by`, `by-sa`, `cc0`, `pdm`, …), `license_version` and `license_url`.
Limits: 20 requests a minute and 200 a day. Its terms forbid to scrape the catalogue and to get
around the limits: a search for one class stays within them, a harvest of everything does not, so it
is off by default. It is used for finding only: pictures come from the sites that hold them, whose
pages have the last word on their licence. https://docs.openverse.org/terms_of_service.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import all_phrases, first_different
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

API = "https://api.openverse.org/v1/images/"

PICTURES_A_REQUEST = 20
_ASKED_DIRECTLY = "wikimedia,met,clevelandmuseum"


class Openverse:
    """Openly licensed pictures of many sites."""

    name = "openverse"
    needs = ""
    note = (
        "For finding pictures of single classes; its terms forbid to harvest the catalogue, and it"
        " answers 200 requests a day. Check licences on the pages that it names."
    )
    by_default = False

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.api = API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(self._found(concept), limit)

    def _found(self, concept: Concept) -> Iterator[Found]:
        for phrase in all_phrases(concept):
            page, pages = 1, 1
            while page <= pages:
                answer = self._page(phrase, page)
                pictures = entries(expect(answer, "results", "Openverse"))
                for picture in pictures:
                    yield _as_found(picture, phrase)
                pages = (whole_number(at(answer, "page_count")) or 0) if pictures else 0
                page += 1

    def _page(self, phrase: str, page: int) -> Any:
        query = {
            "q": phrase,
            "excluded_source": _ASKED_DIRECTLY,
            "page_size": PICTURES_A_REQUEST,
            "page": page,
        }
        return self.web.json(self.api, query)


def _as_found(picture: Any, phrase: str) -> Found:
    license = plain_text(at(picture, "license"))
    version = plain_text(at(picture, "license_version"))
    return Found(
        source=Openverse.name,
        id=plain_text(at(picture, "id")),
        url=link(at(picture, "url")),
        page=link(at(picture, "foreign_landing_url")),
        title=plain_text(at(picture, "title")),
        creator=plain_text(at(picture, "creator")),
        rights=f"{license} {version}".strip(),
        rights_url=link(at(picture, "license_url")),
        query=phrase,
        width=whole_number(at(picture, "width")),
        height=whole_number(at(picture, "height")),
    )


SOURCE = Openverse
