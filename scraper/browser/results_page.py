"""A page of image results in the browser: wait, read, scroll on, and click where it is mute."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException

from scraper.browser.consent import consent_button
from scraper.browser.driver import Browser, Button, Facts, PageProblem, Tile
from scraper.browser.hits import Hit, titled

if TYPE_CHECKING:
    from scraper.browser.image_search import ImageSearch

T = TypeVar("T")

OPENING = "opening the search page"
FINDING = "finding the results"
LOADING = "loading more results"
REVEALING = "revealing a picture in full size"

SECONDS_TO_SETTLE = 1.0  # thumbnails may be shown a moment before their data is there
MISSES = 5  # thumbnails in a row that reveal nothing: the page has changed

MORE = re.compile(
    "(?:show|see|load|view) more(?: (?:results|images|pictures))?$"
    "|more (?:results|images|pictures)$",
    re.IGNORECASE,
)
END = re.compile(
    "(?:looks like )?you.ve reached the end.?|no more (?:results|images|pictures)(?: to show)?.?",
    re.IGNORECASE,
)
NOTHING = re.compile(
    "did not match any|no (?:image )?results (?:found|containing|for)|there are no results for"
    "|we (?:couldn.t|could not|didn.t) find any|no images? found",
    re.IGNORECASE,
)
BLOCKED = re.compile(
    "unusual traffic|bots use duckduckgo too|confirm this search was made by a human"
    "|(?:verify|confirm) (?:that )?you(?:.re| are) (?:a )?(?:human|not a robot)"
    "|(?:solve|complete) the (?:following )?challenge|are you a robot",
    re.IGNORECASE,
)
BLOCKED_BY = (
    "form[action*='captcha' i], form[id*='captcha' i], form[action*='/sorry/'], #challenge-form,"
    "iframe[src*='captcha' i], iframe[src*='challenges.cloudflare'], iframe[src*='turnstile'],"
    "[data-testid*='anomaly']"
)
CHANGED = (
    "The page has probably changed: please report it with the files below, and use another source"
    " until then."
)
LEAVE_ALONE = "Leave it alone for some hours, or use another source."
CONSENT = re.compile("before you continue|use cookies", re.IGNORECASE)


class ResultsPage:
    """The results for one phrase, as far as they have been seen."""

    def __init__(self, site: ImageSearch, browser: Browser) -> None:
        """`site` says how the page is to be read."""
        self._site = site
        self._browser = browser
        self._known: dict[str, Hit] = {}  # by address, in the page's order
        self._fresh: dict[str, Hit] = {}  # those not given yet
        self._doubtful: list[Hit] = []  # told of while a viewer was open, perhaps as related ones
        self._read: set[int] = set()  # hashes of what has been read
        self._tiles: set[str] = set()  # ids of the thumbnails that have been dealt with
        self._pressed: set[str] = set()  # ids of the buttons that were tried this time
        self._pulse: list[Any] = []

    def arrive(self) -> bool:
        """Wait for the results, past the question about cookies; False if there are none.

        Raises:
            PageProblem: the page is none that is known, or turns us away.
        """
        outcome = self._browser.wait(self._outcome)
        if outcome is None:
            self._heed_refused_request()
            why = f"no picture was recognised within {self._browser.seconds:g} s"
            if self._browser.says("", CONSENT):
                why = "a question about cookies stands before them, with no button that is known"
            raise PageProblem(why, CHANGED)
        return outcome == "results"

    def hits(self) -> Iterator[Hit]:
        """Give what was not given before; thumbnails are clicked where the page does not tell."""
        fresh, self._fresh = self._fresh, {}
        with self._browser.step(FINDING):
            tiles = self._new_tiles()
        self._tiles.update(tile.element.id for tile in tiles)
        for hit in fresh.values():
            yield self._with_license(hit, tiles)
        untold = [tile for tile in tiles if not self._is_known(tile)]
        if 2 * len(fresh) < len(untold):
            yield from self._reveal(untold)

    def load_more(self) -> bool:
        """Scroll down and press what loads more; False when there is no more.

        Raises:
            PageProblem: the site turns us away.
        """
        self._pressed.clear()
        outcome = self._browser.wait(self._more)
        if outcome is None:
            self._heed_refused_request()
        return outcome == "results"

    def _outcome(self) -> str | None:
        """What has come: "results", "nothing", or not yet anything that is known."""
        button = consent_button(self._browser.buttons(self._site.tiles))
        if button and button.element.id not in self._pressed:
            self._pressed.add(button.element.id)
            self._browser.click(button.element)
            return None
        if self._look():
            return "results"
        if self._browser.refusal or self._browser.says(BLOCKED_BY, BLOCKED):
            why = self._browser.refusal or "it asks for proof of a human"
            raise PageProblem(f"the site refuses automated searches ({why})", LEAVE_ALONE)
        return "nothing" if self._browser.says("", NOTHING) else None

    def _more(self) -> str | None:
        if self._look():
            return "results"
        if self._browser.says("", END, whole=True):
            return "end"
        self._browser.scroll_down()
        buttons = self._browser.buttons(self._site.tiles)
        button = more_button([b for b in buttons if b.element.id not in self._pressed])
        if button:
            self._pressed.add(button.element.id)
            self._browser.click(button.element)
        return None

    def _heed_refused_request(self) -> None:
        """Take it for the reason why nothing came."""
        if refused := self._browser.refused_request:
            raise PageProblem(f"the site refuses automated searches ({refused})", LEAVE_ALONE)

    def _look(self) -> bool:
        """Whether there are pictures, or else thumbnails, that were not there before."""
        pulse = self._browser.pulse()
        if pulse == self._pulse:
            return False
        self._note_all(self._unread_hits())
        self._note_doubtful()
        if not self._fresh and self._new_tiles():
            time.sleep(SECONDS_TO_SETTLE)
            self._note_all(self._unread_hits())
            return True
        self._pulse = pulse
        return bool(self._fresh)

    def _unread_hits(self) -> list[Hit]:
        facts = self._browser.facts()
        links, data = list(self._unread(facts.links)), list(self._unread(facts.data))
        return list(self._site.hits_in_facts(Facts(links, data)))

    def _unread(self, facts: Iterable[T]) -> Iterator[T]:
        for fact in facts:
            if (key := hash(fact)) not in self._read:
                self._read.add(key)
                yield fact

    def _note_all(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            if address := self._site.full_size(hit.address):
                known = self._known.get(address)
                hit = known.completed_by(hit) if known else replace(hit, address=address)
                self._known[address] = hit
                if not known or address in self._fresh:
                    self._fresh[address] = hit

    def _note_doubtful(self) -> None:
        """A picture is among the results if there is a thumbnail of it."""
        if self._doubtful:
            texts = [tile.text for tile in self._browser.tiles(self._site.tiles)]
            self._note_all(h for h in self._doubtful if h.mark and any(h.mark in t for t in texts))

    def _new_tiles(self) -> list[Tile]:
        tiles = self._browser.tiles(self._site.tiles)
        return [tile for tile in tiles if tile.element.id not in self._tiles]

    def _is_known(self, tile: Tile) -> bool:
        return any(
            hit.address in tile.text or (hit.mark and hit.mark in tile.text)
            for hit in self._known.values()
        )

    def _with_license(self, hit: Hit, tiles: Sequence[Tile]) -> Hit:
        """Open the picture if its thumbnail says that its viewer links to a licence."""
        badge = self._site.badge
        if badge and hit.mark and not hit.rights_url:
            for tile in tiles:
                if hit.mark in tile.text and badge.search(tile.text):
                    shown = self._open(tile, hit)
                    return hit.completed_by(shown) if shown else hit
        return hit

    def _reveal(self, tiles: Sequence[Tile]) -> Iterator[Hit]:
        """Click one thumbnail after the other, and give the pictures not known yet."""
        misses = 0
        for tile in tiles:
            hit = self._open(tile)
            misses = 0 if hit else misses + 1
            if misses == MISSES:
                with self._browser.step(REVEALING):
                    why = f"a click brought up no picture for {MISSES} thumbnails in a row"
                    raise PageProblem(why, CHANGED)
            if hit and hit.address not in self._known:
                self._known[hit.address] = hit
                yield hit

    def _open(self, tile: Tile, expected: Hit | None = None) -> Hit | None:
        """Click a thumbnail; return the picture that this reveals, `expected` if that is given."""
        with self._browser.step(REVEALING), suppress(StaleElementReferenceException):
            view = _View(self._site, self._browser, tile, expected)
            hit = view.open()
            self._doubtful += self._unread_hits()
            return hit
        return None


class _View:
    """The viewer that a click on a thumbnail opens."""

    def __init__(
        self, site: ImageSearch, browser: Browser, tile: Tile, expected: Hit | None
    ) -> None:
        self._site = site
        self._browser = browser
        self._tile = tile
        self._expected = expected
        self._has_license = bool(site.badge and site.badge.search(tile.text))

    def open(self) -> Hit | None:
        """Click, wait for the picture, read it, and leave."""
        patience = self._browser.seconds / 4  # not every picture can be shown here
        before = self._browser.address
        self._pointers = self._browser.pointers(self._tile)
        self._shown = {view.address for view in self._browser.views(self._tile)}
        self._browser.click(self._tile.element)
        hit = self._expected or self._browser.wait(self._revealed, patience)
        if hit and (self._has_license or not hit.page):
            patience = patience if self._has_license else SECONDS_TO_SETTLE
            hit = self._browser.wait(partial(self._shown_as, hit), patience) or hit
        self._browser.close_view(before)
        return hit.completed_by(titled(self._tile.title)) if hit else None

    def _revealed(self) -> Hit | None:
        """The picture, by the address that a click gave to a link, a frame or the page; or seen."""
        pointers = self._browser.pointers(self._tile) - self._pointers
        pointed = self._full_sizes(self._site.hits_in_links(pointers))
        return next(pointed, None) or next(self._views(), None)

    def _shown_as(self, hit: Hit) -> Hit | None:
        """A known picture, with what the viewer that shows it adds."""
        same = (view for view in self._views() if view.address == hit.address)
        return next((hit.completed_by(view) for view in same), None)

    def _views(self) -> Iterator[Hit]:
        here = self._browser.address
        views = (v for v in self._browser.views(self._tile) if v.address not in self._shown)
        return self._full_sizes(self._site.hit_in_view(view, here) for view in views)

    def _full_sizes(self, hits: Iterable[Hit]) -> Iterator[Hit]:
        for hit in hits:
            if address := self._site.full_size(hit.address):
                yield replace(hit, address=address)


def more_button(buttons: Sequence[Button]) -> Button | None:
    """Return the button that loads more: it says so, or stands below all thumbnails."""
    says_so = (button for button in buttons if MORE.match(button.label))
    below = (button for button in buttons if button.below and not button.asking)
    return next(says_so, None) or next(below, None)
