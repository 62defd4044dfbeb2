"""Image search engines without an API, read as a person reads them: scroll, look, click.

Their pages change every few months, and class names with every release, so nothing here depends on
one. Each thing is looked for in several ways, the most telling first:

- pictures: records in the page's data (scripts, attributes, answers to its own requests, schema.org
  objects), then addresses in its links, then a click on the thumbnail and the largest picture that
  this brings to the screen;
- thumbnails: data attributes, the form of their address, ARIA roles;
- buttons: known ids, hidden fields of their form, what they say, where they stand.

When all ways fail, the error names the step and the files that show what the browser saw. The pages
are known from what others publish about them, and are imitated by `tests/scraper/search_pages.py`;
nobody has tried these sources on the live sites yet.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar
from urllib.parse import parse_qsl

from scraper.answers import plain_text
from scraper.browser.driver import Browser, Facts, View, open_browser
from scraper.browser.hits import (
    LICENSE,
    Hit,
    Names,
    json_objects,
    named_hit,
    schema_hits,
    split,
    titled,
)
from scraper.browser.results_page import FINDING, LOADING, OPENING, ResultsPage
from scraper.gather import all_phrases
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Web

LICENSE_LABEL = re.compile("licen[cs]e details|^licen[cs]e$", re.IGNORECASE)
CREATOR = re.compile(r"^(?:Image )?(?:Creator|Credit):?[ \n]+(.+)$", re.MULTILINE)

TERMS = (
    "Its terms and robots.txt leave automated searching to those whom it allows; that is yours to"
    " settle before you name this source. A search engine owns none of the pictures: their licence"
    " is unknown unless it shows one."
)


class ImageSearch:
    """A search engine: what a subclass says about it, and how it is walked through.

    Attributes:
        base_url: where it is.
        data_names: what its JSON records call the parts of a hit.
        link_names: which parameters of its links hold them.
        thumbnail: matches the addresses of its own copies of pictures.
        tiles: ways to find its thumbnails, as CSS selectors.
        badge: what a thumbnail says when its viewer links to a licence.
    """

    name: ClassVar[str]
    note: ClassVar[str]
    needs: ClassVar[str] = "Chromium or Chrome, and its driver"
    by_default: ClassVar[bool] = False

    base_url: str
    data_names: ClassVar[Names] = {}
    link_names: ClassVar[Names] = {}
    thumbnail: ClassVar[re.Pattern[str]]
    tiles: ClassVar[tuple[str, ...]]
    badge: ClassVar[re.Pattern[str] | None] = None

    def __init__(self, web: Web, settings: ScraperSettings) -> None:
        """`web` serves the sources that need no browser."""
        self.settings = settings

    def address(self, phrase: str) -> str:
        """Where the results for a phrase are, in an English page."""
        raise NotImplementedError

    def original(self, address: str) -> str:
        """The picture's own address, where the engine wraps it in one of its own."""
        return address

    def hits_in_data(self, text: str) -> Iterator[Hit]:
        """Read the records in a script, attribute or answer."""
        if not any(name in text.lower() for name in self.data_names.get("address", ())):
            return
        for record in json_objects(text):
            if hit := named_hit(record, self.data_names):
                yield hit

    def hits_in_facts(self, facts: Facts) -> Iterator[Hit]:
        """Read all that a page says; the same picture may come several times."""
        for text in facts.data:
            yield from self.hits_in_data(text)
            yield from schema_hits(text)
        yield from self.hits_in_links(facts.links)

    def hits_in_links(self, links: Iterable[tuple[str, str]]) -> Iterator[Hit]:
        """Read (address, label) of links whose parameters name a picture."""
        for address, label in links:
            if hit := named_hit(dict(parse_qsl(split(address).query)), self.link_names):
                yield hit.completed_by(titled(label))

    def full_size(self, address: str) -> str | None:
        """The picture's own address; None if this is a thumbnail, or no address."""
        address = self.original(address)
        parts = split(address)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return None
        is_own = parts.netloc == split(self.base_url).netloc
        return None if is_own or self.thumbnail.search(address) else address

    def hit_in_view(self, view: View, here: str) -> Hit:
        """Read a viewer: the picture, and the links that lead away from the engine.

        Args:
            here: the address of the engine's page.
        """
        own = ".".join(split(here).netloc.split(".")[-2:])  # without "www." and the like
        away = [link for link in view.links if own not in split(link[0]).netloc]
        licenses = [
            address
            for address, label in away
            if LICENSE_LABEL.search(label) or LICENSE.match(address)
        ]
        picture = self.original(view.address)
        pages = [address for address, _ in away if address not in {picture, *licenses}]
        creator = CREATOR.search(view.text)
        is_original = picture == view.address  # and no smaller copy by the engine's proxy
        return Hit(
            picture,
            page=next(iter(pages), ""),
            title=view.title,
            creator=creator[1].strip() if creator else "",
            rights_url=next(iter(licenses), ""),
            width=view.width if is_original else None,
            height=view.height if is_original else None,
        )

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`; each phrase of the concept gets its share of `limit`.

        Raises:
            SourceError: the browser does not start, the site cannot be reached, it turns us away,
                or its page no longer fits; then it is a `scraper.browser.PageError`.
        """
        phrases = all_phrases(concept)[: max(0, limit)]
        if not phrases:
            return
        known: set[str] = set()
        with open_browser(self.name, self.settings) as browser:
            for rank, phrase in enumerate(phrases):
                share = math.ceil((limit - len(known)) / (len(phrases) - rank))
                fresh = (hit for hit in self._walk(browser, phrase) if hit.address not in known)
                for hit in islice(fresh, share):
                    known.add(hit.address)
                    yield self._found(hit, phrase)

    def _walk(self, browser: Browser, phrase: str) -> Iterator[Hit]:
        page = ResultsPage(self, browser)
        with browser.step(OPENING):
            browser.open(self.address(phrase))
        with browser.step(FINDING):
            more = page.arrive()
        while more:
            hits = page.hits()
            first = next(hits, None)
            if first is None:  # a page that repeats itself would do so for ever
                return
            yield first
            yield from hits
            with browser.step(LOADING):
                more = page.load_more()

    def _found(self, hit: Hit, phrase: str) -> Found:
        return Found(
            source=self.name,
            id=hashlib.sha256(hit.address.encode()).hexdigest()[:16],
            url=hit.address,
            page=hit.page,
            title=plain_text(hit.title),
            creator=plain_text(hit.creator),
            rights=plain_text(hit.rights),
            rights_url=hit.rights_url,
            query=phrase,
            width=hit.width,
            height=hit.height,
        )
