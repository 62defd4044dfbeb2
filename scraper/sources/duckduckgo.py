"""DuckDuckGo's image search, through a browser.

Request: `/?q=<phrase>&iax=images&ia=images&kl=wt-wt`; the page then asks `/i.js` for 100 results at
a time, with a token (`vqd`) that it was given, and again on scrolling: `{"results": [{"image": ...,
"url": the page it is on, "title": ..., "thumbnail": ..., "width": ..., "height": ..., "source":
...}], "next": ...}`. We read the answers that the page gets, so the token is its own business. A
click on a thumbnail puts the picture's address into the page's (`iai`). Licence: none is given.
Limits: `/i.js` answers 403 after some dozens of queries; other pages show a captcha then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import parse_qs, urlencode

from scraper.browser.hits import Hit, Names, split
from scraper.browser.image_search import TERMS, ImageSearch


class DuckDuckGo(ImageSearch):
    """See the module."""

    name = "duckduckgo"
    note = f"DuckDuckGo's image search in a browser. {TERMS}"
    base_url = "https://duckduckgo.com"
    data_names: ClassVar[Names] = {
        "address": ("image",),
        "page": ("url",),
        "title": ("title",),
        "width": ("width",),
        "height": ("height",),
        "mark": ("thumbnail",),
    }
    link_names: ClassVar[Names] = {"address": ("iai",)}
    thumbnail = re.compile(r"/iu/\?|//[^/]*\bduckduckgo\.com/|//[^/]*\bmm\.bing\.net/|/th\?id=")
    tiles = (
        "[data-id] img[src*='/iu/?u='], figure img[src*='/iu/?u=']",
        "img[src*='/iu/?u='], img[data-src*='/iu/?u=']",
        "[role=listitem] img, [role=list] img, figure img",
    )

    def address(self, phrase: str) -> str:
        """See `ImageSearch`."""
        query = {"q": phrase, "iax": "images", "ia": "images", "kl": "wt-wt"}
        return f"{self.base_url}/?{urlencode(query)}"

    def hits_in_data(self, text: str) -> Iterator[Hit]:
        """See `ImageSearch`; other things than results have an `image`, but no `thumbnail`."""
        return (hit for hit in super().hits_in_data(text) if hit.mark)

    def original(self, address: str) -> str:
        """See `ImageSearch`; pictures are shown through a proxy, `/iu/?u=<address>`."""
        parts = split(address)
        wrapped = parse_qs(parts.query).get("u") if parts.path.endswith("/iu/") else None
        return wrapped[0] if wrapped else address


SOURCE = DuckDuckGo
