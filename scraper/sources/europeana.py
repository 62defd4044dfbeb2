"""Europeana: pictures of museums, libraries and archives all over Europe.

Request: `record/v2/search.json` with a key; `query` is a phrase, or `skos_concept:"<URI>"` for a
concept of Wikidata, AAT, Iconclass or Europeana's own, as in its image-classification pilot;
`qf=TYPE:IMAGE`, `media=true` and `profile=rich` ask for what has a picture, with its address.
`reusability` is asked `open` first, then `restricted` and `permission`.
Paging: `cursor=*`, then each answer's `nextCursor` until there is none; `rows` is 100 at most.
Licence: `rights`, a URI of creativecommons.org or rightsstatements.org.
Limits: a free key (https://apis.europeana.eu/), which Europeana also writes into links of its
answers, so none of those is kept. Pictures come from the institutions, some of which are slow.
https://europeana.atlassian.net/wiki/spaces/EF/pages/2385739812/Search+API+Documentation
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scraper.answers import at, entries, expect, link, plain_text
from scraper.gather import all_phrases, first_different, without_operators
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web

API = "https://api.europeana.eu/record/v2/search.json"
PAGE = "https://www.europeana.eu/item"

ITEMS_A_REQUEST = 100
_REUSABILITY = ("open", "restricted", "permission")


class Europeana:
    """Pictures of institutions all over Europe."""

    name = "europeana"
    needs = "a free key, https://apis.europeana.eu/, as IDEITIFY_SCRAPER_EUROPEANA_KEY"
    note = "Each institution's own licence or rights statement; on by default where there is a key."
    by_default = False

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.api = API
        self.key = settings.europeana_key.get_secret_value()
        self.by_default = bool(self.key)

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        if not self.key:
            raise SourceError(f"Europeana needs {self.needs}")
        try:
            yield from first_different(self._found(concept), limit)
        except SourceError as error:
            raise SourceError(str(error).replace(self.key, "…")) from None

    def _found(self, concept: Concept) -> Iterator[Found]:
        queries = [(f'skos_concept:"{uri}"', uri) for uri in concept.uris]
        queries += [(without_operators(phrase), "") for phrase in all_phrases(concept)]
        for reusability in _REUSABILITY:
            for query, uri in queries:
                for item in self._items(query, reusability):
                    yield from _as_found(item, uri or query, uri)

    def _items(self, query: str, reusability: str) -> Iterator[Any]:
        cursor: Any = "*"
        while cursor:
            request = {
                "wskey": self.key,
                "query": query,
                "qf": "TYPE:IMAGE",
                "reusability": reusability,
                "media": "true",
                "profile": "rich",
                "rows": ITEMS_A_REQUEST,
                "cursor": cursor,
            }
            answer = self.web.json(self.api, request)
            items = entries(expect(answer, "items", "Europeana"))
            yield from items
            following = at(answer, "nextCursor")
            cursor = following if items and following != cursor else None


def _as_found(item: Any, query: str, uri: str) -> Iterator[Found]:
    identifier = plain_text(at(item, "id"))
    url = link(at(item, "edmIsShownBy", 0))
    if not identifier or not url:
        return
    yield Found(
        source=Europeana.name,
        id=identifier,
        url=url,
        page=f"{PAGE}{identifier}",
        title=plain_text(at(item, "title", 0)),
        creator=plain_text(_creators(item)),
        rights_url=link(at(item, "rights", 0)),
        query=query,
        skos_concept=uri,
    )


def _creators(item: Any) -> list[str]:
    """Names; those that are URIs are looked up among the item's labelled agents."""
    labels = [entries(label) for label in entries(at(item, "edmAgentLabel"))]
    agents = entries(at(item, "edmAgent"))
    named = dict(zip(map(link, agents), labels, strict=True)) if len(agents) == len(labels) else {}
    creators: list[str] = []
    for creator in entries(at(item, "dcCreator")):
        uri = link(creator)
        creators += named.get(uri, [])[:1] if uri else [creator]
    return creators


SOURCE = Europeana
