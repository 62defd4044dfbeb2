"""The Metropolitan Museum of Art, New York: its Open Access works.

Request: `search?hasImages=true&isPublicDomain=true&q=…` names all matching objects at once
(`objectIDs` is null where there is none; `q` comes last, else the museum forgets the parameters
before it); `objects/<id>` has the pictures of one.
Paging: none.
Licence: `isPublicDomain`; the pictures of such works are CC0, those of others are not given
(`primaryImage` is ""). Asking for `hasImages` does not spare those without.
Limits: 80 requests a second are allowed on paper; in practice its guard (a 403 with a page of HTML)
blocks who asks quickly for half a minute and more, so one request a second is what works.
https://metmuseum.github.io/, https://github.com/metmuseum/openaccess/issues/60
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ideitify.licenses import CC0
from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import each_answer, first_different, phrases_in, views_last
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

API = "https://collectionapi.metmuseum.org/public/collection/v1"
PAGE = "https://www.metmuseum.org/art/collection/search"


class Met:
    """Works of the Metropolitan Museum of Art."""

    name = "met"
    needs = ""
    note = "Works in the public domain, CC0; one request per object, at a slow pace."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.api = API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(views_last(self._objects(concept)), limit)

    def _objects(self, concept: Concept) -> Iterator[list[Found]]:
        seen: set[int] = set()
        for phrase in phrases_in(concept, "en"):
            query = {"hasImages": "true", "isPublicDomain": "true", "q": phrase}
            answer = self.web.json(f"{self.api}/search", query)
            numbers = map(whole_number, entries(expect(answer, "objectIDs", "the Met")))
            works = [number for number in numbers if number and number not in seen]
            seen.update(works)
            for work in each_answer(self.web, (f"{self.api}/objects/{n}" for n in works)):
                yield self._views(work, phrase)

    def _views(self, work: Any, phrase: str) -> list[Found]:
        number = at(work, "objectID")
        if not number or at(work, "isPublicDomain") is not True:
            return []
        first = link(at(work, "primaryImage"))
        others = map(link, entries(at(work, "additionalImages")))
        return [
            Found(
                source=self.name,
                id=str(number) if url == first else f"{number}-{PurePosixPath(url).stem}",
                url=url,
                page=f"{PAGE}/{number}",
                title=plain_text(at(work, "title")),
                creator=plain_text(at(work, "artistDisplayName")),
                rights=CC0.id,
                rights_url=CC0.url,
                query=phrase,
            )
            for url in (first, *others)
            if url
        ]


SOURCE = Met
