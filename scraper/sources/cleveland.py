"""The Cleveland Museum of Art: its Open Access works.

Request: `artworks/` with `q`, `cc0=1` and `has_image=1`; each work has its pictures in three sizes,
`web` (900 pixels), `print` (3400 pixels, what we take) and `full` (TIFF); sizes are texts.
Paging: `skip` and `limit` (1000 at most), up to `info.total`.
Licence: `share_license_status`, `CC0` or `Copyrighted`.
Limits: none published. https://openaccess-api.clevelandart.org/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import first_different, phrases_in, views_last
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

API = "https://openaccess-api.clevelandart.org/api/artworks/"

WORKS_A_REQUEST = 100
_SIZES = ("print", "web", "full")  # the best first


class Cleveland:
    """Works of the Cleveland Museum of Art."""

    name = "cleveland"
    needs = ""
    note = "Works under CC0."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.api = API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(views_last(self._works(concept)), limit)

    def _works(self, concept: Concept) -> Iterator[list[Found]]:
        for phrase in phrases_in(concept, "en"):
            skip = 0
            while True:
                answer = self._page(phrase, skip)
                works = entries(expect(answer, "data", "the Cleveland Museum of Art"))
                for work in works:
                    yield self._views(work, phrase)
                skip += len(works)
                if not works or skip >= (whole_number(at(answer, "info", "total")) or 0):
                    break

    def _page(self, phrase: str, skip: int) -> Any:
        query = {"q": phrase, "cc0": 1, "has_image": 1, "limit": WORKS_A_REQUEST, "skip": skip}
        return self.web.json(self.api, query)

    def _views(self, work: Any, phrase: str) -> list[Found]:
        number = at(work, "accession_number") or at(work, "id")
        makers = [at(maker, "description") for maker in entries(at(work, "creators"))]
        views = [at(work, "images"), *entries(at(work, "alternate_images"))]
        pictures = [picture for picture in map(_best, views) if picture]
        return [
            Found(
                source=self.name,
                id=f"{number}-{place}" if place else str(number),
                url=link(at(picture, "url")),
                page=link(at(work, "url")),
                title=plain_text(at(work, "title")),
                creator=plain_text(makers),
                rights=plain_text(at(work, "share_license_status")),
                query=phrase,
                width=whole_number(at(picture, "width")),
                height=whole_number(at(picture, "height")),
            )
            for place, picture in enumerate(pictures)
        ]


def _best(view: Any) -> Any:
    """The best size of a view; None where it has none."""
    sizes = (at(view, size) for size in _SIZES)
    return next((picture for picture in sizes if link(at(picture, "url"))), None)


SOURCE = Cleveland
