"""Bing Images, through a browser.

Request: `/images/search?q=<phrase>&setlang=en`; the page loads 35 results at a time on scrolling,
and at last behind a button "See more images". Each thumbnail stands in a link with the result as
JSON in an attribute (`m` for many years): `murl` the picture, `purl` its page, `turl` the
thumbnail, `t` the title; and with the address of its viewer, which has `mediaurl`, `expw` and
`exph` (the picture and its size) among its parameters. Licence: none is given; a filter finds
pictures under a Creative Commons licence, but does not say which. Limits: unknown; a captcha after
many queries.
"""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import urlencode

from scraper.browser.hits import Names
from scraper.browser.image_search import TERMS, ImageSearch


class Bing(ImageSearch):
    """See the module."""

    name = "bing"
    note = f"Bing Images in a browser. {TERMS}"
    base_url = "https://www.bing.com"
    data_names: ClassVar[Names] = {
        "address": ("murl", "mediaurl", "imgurl"),
        "page": ("purl", "pageurl", "hostpageurl"),
        "title": ("t", "title", "name"),
        "width": ("width", "expw"),
        "height": ("height", "exph"),
    }
    link_names: ClassVar[Names] = {
        "address": ("mediaurl", "imgurl"),
        "page": ("purl", "pageurl"),
        "width": ("expw",),
        "height": ("exph",),
    }
    thumbnail = re.compile(r"/th(?:/id/|\?id=|\?q=)|//[^/]*\bmm\.bing\.net/|//[rt]h?\.bing\.com/")
    tiles = (
        "a[m] img, a[href*='mediaurl='] img",
        "img[src*='/th?id='], img[src*='/th/id/']",
        "[role=listitem] img, [role=list] img",
    )

    def address(self, phrase: str) -> str:
        """See `ImageSearch`."""
        return f"{self.base_url}/images/search?{urlencode({'q': phrase, 'setlang': 'en'})}"


SOURCE = Bing
