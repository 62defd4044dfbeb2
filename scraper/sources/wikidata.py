"""Wikidata: pictures (P18) of works that depict (P180) a concept.

Request: SPARQL at the Query Service for the works that depict a concept's Wikidata item; for
phrases, the search of the Action API, narrowed to items that are works of art, and their P18
statements by `wbgetentities`. The rights of the files are asked from Wikimedia Commons.
Paging: SPARQL answers at once, up to `LIMIT`; the search as in `commons`.
Licence: Wikidata itself has none for pictures; that of the file's page at Commons.
Limits: the Query Service gives a program a minute of computing per minute and five requests at a
time, and stops whoever ignores its 429; 50 items a request of the Action API. Depictions are
entered for a small part of all works. https://www.wikidata.org/wiki/Wikidata:Data_access
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from scraper.answers import at, entries, expect, plain_text
from scraper.gather import all_phrases, first_different
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources import commons

SPARQL = "https://query.wikidata.org/sparql"
API = "https://www.wikidata.org/w/api.php"

ITEMS_A_REQUEST = 50
_WORKS_AT_MOST = 2000
_DEPICTING = "SELECT DISTINCT ?picture WHERE {{ ?work wdt:P180 wd:{}; wdt:P18 ?picture }} LIMIT {}"

# painting, sculpture, statue, relief, icon, drawing, print, mural, altarpiece
_KINDS_OF_WORK = (
    "Q3305213", "Q860861", "Q179700", "Q245117", "Q132137", "Q93184", "Q11060274", "Q219423",
    "Q15711026",
)  # fmt: skip


class Wikidata:
    """Pictures of works that depict a concept."""

    name = "wikidata"
    needs = commons.CONTACT
    note = "Works marked as depicting the deity; pictures and licences from Wikimedia Commons."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.contact = settings.contact
        self.sparql = SPARQL
        self.api = API
        self.commons = commons.API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        if not self.contact:
            raise SourceError(f"Wikimedia wants {commons.CONTACT}")
        return first_different(self._found(concept), limit)

    def _found(self, concept: Concept) -> Iterator[Found]:
        for item in commons.wikidata_items(concept):
            uri = commons.item_uri(item)
            yield from self._rights_of(self._depicting(item), f"P180={item}", uri)
        for phrase in all_phrases(concept):
            yield from self._rights_of(self._matching(phrase), phrase)

    def _depicting(self, item: str) -> Iterator[str]:
        """Names of the files that show works depicting an item."""
        query = _DEPICTING.format(item, _WORKS_AT_MOST)
        answer = self.web.json(self.sparql, {"query": query, "format": "json"})
        for row in entries(at(expect(answer, "results", "the Wikidata Query Service"), "bindings")):
            if at(row, "picture", "type") == "uri":  # else the work's picture is "some value"
                yield unquote(str(at(row, "picture", "value")).rpartition("/")[2])

    def _matching(self, phrase: str) -> Iterator[str]:
        """Names of the files that show works found by a phrase."""
        kinds = "|".join(f"P31={kind}" for kind in _KINDS_OF_WORK)
        request = {
            "action": "query",
            "format": "json",
            "formatversion": 2,
            "list": "search",
            "srsearch": f"{phrase} haswbstatement:{kinds}",
            "srnamespace": 0,
            "srlimit": ITEMS_A_REQUEST,
        }
        for answer in commons.continued(self.web, self.api, request):
            hits = entries(at(answer, "query", "search"))
            items = [title for hit in hits if (title := plain_text(at(hit, "title")))]
            if items:
                yield from self._pictures_of(items)

    def _pictures_of(self, items: list[str]) -> Iterator[str]:
        request = {
            "action": "wbgetentities",
            "format": "json",
            "ids": "|".join(items),
            "props": "claims",
        }
        found = expect(self.web.json(self.api, request), "entities", "Wikidata")
        for item in items:
            for claim in entries(at(found, item, "claims", "P18")):
                if file := plain_text(at(claim, "mainsnak", "datavalue", "value")):
                    yield file

    def _rights_of(self, files: Iterable[str], query: str, concept: str = "") -> Iterator[Found]:
        for some in _batches(dict.fromkeys(files)):
            titles = "|".join(f"File:{file}" for file in some)
            for page in commons.file_pages(self.web, self.commons, titles=titles):
                yield from commons.as_found(page, self.name, query, concept)


def _batches(files: Iterable[str]) -> Iterator[list[str]]:
    """Lists of as many as Commons tells of at a time; no more is read than is asked for."""
    batch: list[str] = []
    for file in files:
        batch.append(file)
        if len(batch) == commons.FILES_A_REQUEST:
            yield batch
            batch = []
    if batch:
        yield batch


SOURCE = Wikidata
