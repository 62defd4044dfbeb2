"""Wikimedia Commons: files that depict a concept, files of its category, files found by a phrase.

Request: the Action API, `action=query`, with a generator that names files and `prop=imageinfo` for
their addresses and rights. `generator=search` with `haswbstatement:P180=Q…` finds what people have
marked as depicting a Wikidata item, or a phrase with `filetype:bitmap`;
`generator=categorymembers` lists a category, without its subcategories, which stray from the topic.
Paging: what stands in `continue` is sent along with the same request, until there is none; a file
that lacks its `imageinfo` in one answer has it in the next.
Licence: `LicenseShortName` and `LicenseUrl` in `extmetadata`, from the file's page, as HTML.
Limits: 50 files a request; one request after the other, with a contact in the User-Agent. Pictures
are asked for at a width that Wikimedia keeps ready, which is what its rules for robots want:
https://wikitech.wikimedia.org/wiki/Robot_policy, https://www.mediawiki.org/wiki/API:Etiquette
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.gather import PICTURE_SIDE, all_phrases, first_different
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web

API = "https://commons.wikimedia.org/w/api.php"

CONTACT = "a contact in the User-Agent, your e-mail or URL, as IDEITIFY_SCRAPER_CONTACT"

FILES_A_REQUEST = 50  # more are not scaled
_NAMESPACE_OF_FILES = 6
_FIELDS = "ObjectName|Artist|Attribution|LicenseShortName|LicenseUrl|License|UsageTerms"
_PARTS = {"query", "batchcomplete", "continue"}  # an answer has one of them, else it is an error
_ITEM = re.compile(r"https?://(www\.)?wikidata\.org/(entity|wiki)/(Q[1-9]\d*)")
_PICTURES = {"image/jpeg", "image/png", "image/tiff", "image/webp", "image/gif"}


class Commons:
    """Files of Wikimedia Commons."""

    name = "commons"
    needs = CONTACT
    note = "Free licences only, each as its file page says."
    by_default = True

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        self.web = web
        self.contact = settings.contact
        self.api = API

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        if not self.contact:
            raise SourceError(f"Wikimedia wants {CONTACT}")
        return first_different(self._found(concept), limit)

    def _found(self, concept: Concept) -> Iterator[Found]:
        for item in wikidata_items(concept):
            statement = f"P180={item}"
            for page in self._matching(f"haswbstatement:{statement}"):
                yield from as_found(page, self.name, statement, skos_concept=item_uri(item))
        if concept.commons_category:
            category = f"Category:{concept.commons_category.removeprefix('Category:')}"
            for page in self._members(category):
                yield from as_found(page, self.name, category)
        for phrase in all_phrases(concept):
            for page in self._matching(f"{phrase} filetype:bitmap"):
                yield from as_found(page, self.name, phrase)

    def _matching(self, query: str) -> Iterator[Any]:
        return file_pages(
            self.web,
            self.api,
            generator="search",
            gsrsearch=query,
            gsrnamespace=_NAMESPACE_OF_FILES,
            gsrlimit=FILES_A_REQUEST,
        )

    def _members(self, category: str) -> Iterator[Any]:
        return file_pages(
            self.web,
            self.api,
            generator="categorymembers",
            gcmtitle=category,
            gcmtype="file",
            gcmlimit=FILES_A_REQUEST,
        )


def file_pages(web: Web, api: str, **query: Any) -> Iterator[Any]:
    """The file pages that a query names, with their `imageinfo`, in the order of its answers.

    Raises:
        SourceError: Commons refused the query.
    """
    request = {
        "action": "query",
        "format": "json",
        "formatversion": 2,
        "prop": "imageinfo",
        "iiprop": "url|size|mime|extmetadata",
        "iiurlwidth": PICTURE_SIDE,
        "iiextmetadatafilter": _FIELDS,
        **query,
    }
    for answer in continued(web, api, request):
        pages = entries(at(answer, "query", "pages"))
        yield from sorted(pages, key=lambda page: whole_number(at(page, "index")) or 0)


def continued(web: Web, api: str, request: dict[str, Any]) -> Iterator[Any]:
    """The answers of the Action API to a request and its continuations.

    Raises:
        SourceError: it refused, or leads in a circle.
    """
    asked: list[Any] = [{}]
    while True:
        answer = web.json(api, request | asked[-1])
        if not isinstance(answer, Mapping) or answer.keys().isdisjoint(_PARTS):
            expect(answer, "query", "Wikimedia's API")
        yield answer
        more = at(answer, "continue")
        if not isinstance(more, Mapping):
            return
        if more in asked:
            raise SourceError("Wikimedia's API gives one page over and over; try again later")
        asked.append(more)


def as_found(page: Any, source: str, query: str, skos_concept: str = "") -> Iterator[Found]:
    """A file page as a find; nothing if it is no picture or its answer is not whole."""
    info = at(page, "imageinfo", 0)
    about = at(info, "extmetadata")
    is_sound_or_film = bool(at(info, "duration"))
    if is_sound_or_film or at(info, "mime") not in (None, *_PICTURES):
        return
    size = "thumb" if at(info, "thumburl") else ""
    url = link(at(info, f"{size}url"))
    file = plain_text(at(page, "title")).removeprefix("File:")
    if not url or not file:
        return

    def said(*names: str) -> str:
        texts = (plain_text(at(about, name, "value")) for name in names)
        return next(filter(None, texts), "")

    yield Found(
        source=source,
        id=str(at(page, "pageid") or file),
        url=_without_query(url),
        page=_without_query(link(at(info, "descriptionurl") or at(info, "descriptionshorturl"))),
        title=said("ObjectName") or file,
        creator=said("Artist", "Attribution"),
        rights=said("LicenseShortName", "UsageTerms", "License"),
        rights_url=link(at(about, "LicenseUrl", "value")),
        query=query,
        skos_concept=skos_concept,
        width=whole_number(at(info, f"{size}width")),
        height=whole_number(at(info, f"{size}height")),
    )


def _without_query(url: str) -> str:
    """Wikimedia's API adds who asked (`?utm_source=…`), by which one file gets many addresses."""
    return re.sub(r"[?&]utm_.*", "", url)


def wikidata_items(concept: Concept) -> list[str]:
    """The Wikidata items among a concept's URIs, each once: `Q44395`."""
    found = (_ITEM.fullmatch(uri) for uri in concept.uris)
    items = [concept.wikidata, *(match[3] for match in found if match)]
    return list(dict.fromkeys(filter(None, items)))


def item_uri(item: str) -> str:
    """The concept URI of a Wikidata item."""
    return f"http://www.wikidata.org/entity/{item}"


SOURCE = Commons
