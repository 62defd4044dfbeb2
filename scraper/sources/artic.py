"""The Art Institute of Chicago: its works in the public domain.

Request: `artworks/search` with `q`, `query[term][is_public_domain]=true` and the `fields` needed;
a picture is `<config.iiif_url>/<image_id>/full/843,/0/default.jpg`, the size that the museum asks
everybody to use because it has it ready.
Paging: `page` and `limit` (100 at most), up to `pagination.total_pages`; 10,000 works a query.
Licence: `is_public_domain`; pictures of such works are CC0.
Limits: 60 requests a minute, one at a time; who wants all takes the data dump instead.
https://api.artic.edu/docs/#best-practices
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ideitify.licenses import CC0
from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import first_different, phrases_in, views_last
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

API = "https://api.artic.edu/api/v1"
IIIF = "https://www.artic.edu/iiif/2"
PAGE = "https://www.artic.edu/artworks"

WORKS_A_REQUEST = 100
_LAST_PAGE = 100  # of 100 works: the museum's limit of 10,000
_WIDTH = 843
_FIELDS = "id,title,image_id,alt_image_ids,is_public_domain,artist_title,artist_display,thumbnail"


class ArtInstituteOfChicago:
    """Works of the Art Institute of Chicago."""

    name = "artic"
    needs = ""
    note = "Works in the public domain, CC0; one request a second, 843 pixels wide."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.api = API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(views_last(self._works(concept)), limit)

    def _works(self, concept: Concept) -> Iterator[list[Found]]:
        for phrase in phrases_in(concept, "en"):
            for page in range(1, _LAST_PAGE + 1):
                answer = self._page(phrase, page)
                works = entries(expect(answer, "data", "the Art Institute of Chicago"))
                iiif = link(at(answer, "config", "iiif_url")) or IIIF
                for work in works:
                    yield self._views(work, iiif, phrase)
                if not works or page >= (
                    whole_number(at(answer, "pagination", "total_pages")) or 0
                ):
                    break

    def _page(self, phrase: str, page: int) -> Any:
        query = {
            "q": phrase,
            "query[term][is_public_domain]": "true",
            "fields": _FIELDS,
            "limit": WORKS_A_REQUEST,
            "page": page,
        }
        return self.web.json(f"{self.api}/artworks/search", query)

    def _views(self, work: Any, iiif: str, phrase: str) -> list[Found]:
        if at(work, "is_public_domain") is not True:
            return []
        number = at(work, "id")
        images = [at(work, "image_id"), *entries(at(work, "alt_image_ids"))]
        width, height = _size(at(work, "thumbnail"))
        return [
            Found(
                source=self.name,
                id=f"{number}-{image}",
                url=f"{iiif}/{image}/full/{_WIDTH},/0/default.jpg",
                page=f"{PAGE}/{number}",
                title=plain_text(at(work, "title")),
                creator=plain_text(at(work, "artist_title") or at(work, "artist_display")),
                rights=CC0.id,
                rights_url=CC0.url,
                query=phrase,
                width=width if image == images[0] else None,
                height=height if image == images[0] else None,
            )
            for image in images
            if image and isinstance(image, str)
        ]


def _size(original: Any) -> tuple[int | None, int | None]:
    """Width and height as they will come; `thumbnail` has those of the original."""
    width, height = whole_number(at(original, "width")), whole_number(at(original, "height"))
    if not width or not height or width < _WIDTH:
        return None, None
    return _WIDTH, round(height * _WIDTH / width)


SOURCE = ArtInstituteOfChicago
