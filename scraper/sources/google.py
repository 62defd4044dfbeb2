"""Google Images, through a browser.

Request: `/search?udm=2&q=<phrase>&hl=en`; the page loads about 100 results at first and more on
scrolling, a few hundred in all. Each result's record stands in the page's scripts, and in the
answers to its own requests, where it is encoded once more (as others saw it in September 2026):

    [0, "<id of the result>", ["<thumbnail>", height, width], ["<picture>", height, width], ...,
     {"2000": [null, "<host>", "<size>"], "2003": [null, "<id>", "<page>", "<title>", ...]}]

A link `/imgres?imgurl=...&imgrefurl=...` appears in the box of a thumbnail when it is pressed, and
the viewer beside the grid then shows the picture. Licence: a thumbnail says "Licensable" where its
site publishes one; the viewer then has a link "License details", which is kept as `rights_url`.
Limits: queries in quick succession lead to `/sorry/`, with status 429 and a captcha.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar
from urllib.parse import urlencode

from scraper.browser.hits import LICENSE, Hit, Names
from scraper.browser.image_search import TERMS, ImageSearch

_IMAGE = (
    r'\[\s*"(?P<{0}>https?:(?:[^"\\]|\\.)+)"'
    r"\s*,\s*(?P<{0}_height>\d{{1,6}})\s*,\s*(?P<{0}_width>\d{{1,6}})\s*\]"
)
_PAIR = re.compile(_IMAGE.format("thumbnail") + r"\s*,\s*" + _IMAGE.format("picture"))
_RECORD_START = re.compile(r'\[\s*\d+\s*,\s*"(?P<mark>[^"\\]{6,})"\s*,\s*$')
_RECORD_START_LENGTH = 80  # characters before the pair in which the record starts
_ENCODINGS = 3  # how often a record may be encoded as a string within a string


class Google(ImageSearch):
    """See the module."""

    name = "google"
    note = f"Google Images in a browser. {TERMS}"
    base_url = "https://www.google.com"
    link_names: ClassVar[Names] = {
        "address": ("imgurl",),
        "page": ("imgrefurl",),
        "width": ("w",),
        "height": ("h",),
        "mark": ("docid", "tbnid"),
    }
    thumbnail = re.compile(r"[?&]q=tbn:|//[^/]*\bgstatic\.com/")
    tiles = (
        "[data-lpage] img, [data-docid] img, [data-tbnid] img, [data-attrid^='images'] img",
        "img[src*='q=tbn:']",
        "[role=listitem] img, [role=list] img",
    )
    badge = re.compile(r"\blicensable\b", re.IGNORECASE)

    def address(self, phrase: str) -> str:
        """See `ImageSearch`."""
        return f"{self.base_url}/search?{urlencode({'q': phrase, 'udm': 2, 'hl': 'en'})}"

    def hits_in_data(self, text: str) -> Iterator[Hit]:
        """See `ImageSearch`; the records are lists, and known by the two pictures in them."""
        for _ in range(_ENCODINGS):
            if _PAIR.search(text):
                break
            text = re.sub(r'\\(["\\/])', r"\1", text)
        for pair in _PAIR.finditer(text):
            if self.thumbnail.search(_decoded(pair["thumbnail"])):
                yield _hit(text, pair)


SOURCE = Google


def _hit(text: str, pair: re.Match[str]) -> Hit:
    hit = Hit(
        _decoded(pair["picture"]),
        width=int(pair["picture_width"]),
        height=int(pair["picture_height"]),
    )
    start = max(0, pair.start() - _RECORD_START_LENGTH)
    before = _RECORD_START.search(text[start : pair.start()])
    if not before:
        return hit
    license_url, page, title = _details(text, start + before.start())
    return hit.completed_by(
        Hit("", page=page, title=title, rights_url=license_url, mark=before["mark"])
    )


def _details(text: str, start: int) -> tuple[str, str, str]:
    """Licence, page and title in the record that starts there; empty where it cannot be read."""
    try:
        record, end = json.JSONDecoder().raw_decode(text, start)
    except (json.JSONDecodeError, RecursionError):
        return "", "", ""
    license_url = LICENSE.search(_decoded(text[start:end]))
    page, title = next(_addresses_with_titles(record[4:]), ("", ""))
    return license_url[0] if license_url else "", page, title


def _addresses_with_titles(value: Any) -> Iterator[tuple[str, str]]:
    """(address, title) wherever a list has an address and then a text, whatever it is called."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for address, title in pairwise(value):
            is_address = isinstance(address, str) and re.match("https?://", address)
            if is_address and isinstance(title, str) and not title.startswith("http"):
                yield address, title
        for item in value:
            yield from _addresses_with_titles(item)


def _decoded(text: str) -> str:
    r"""Undo JSON's escapes such as \u003d, as far as they are ones."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
