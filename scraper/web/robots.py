"""What a site's owner does not want: robots.txt, and opt-outs in the headers of an answer.

robots.txt is read as RFC 9309 says; `X-Robots-Tag: noai` and `noimageai` as DeviantArt defined
them, for all agents or for ours by name; `TDM-Reservation: 1` as in the TDM Reservation Protocol of
the W3C's community group. None of them can be switched off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
from protego import Protego

from scraper.web.refusal import Refused

AGENT = "Ideitify"  # the name by which robots.txt and X-Robots-Tag may speak to us
MAX_ROBOTS_BYTES = 500 * 1024  # RFC 9309: a crawler reads at least so much of a robots.txt

_RULES_SECONDS = 24 * 3600.0
_REFUSAL_SECONDS = 600.0  # a site that does not answer now may do so later
_NO_AI = {"noai", "noimageai"}
_WITH_VALUE = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}


class RobotsFiles:
    """The robots.txt of every site, each read once however many ask at a time."""

    def __init__(self, read: Callable[[httpx.URL], Awaitable[bytes]]) -> None:
        """`read` gives the file at a URL, empty where a site has none, or raises `Refused`."""
        self._read = read
        self._files: dict[tuple[str, bytes], asyncio.Task[_File]] = {}

    async def rules(self, target: httpx.URL) -> Protego:
        """The rules of the site of `target`.

        Raises:
            Refused: the site, or its robots.txt, cannot be reached: nobody knows what it wants.
        """
        site = (target.scheme, target.netloc)
        task = self._files.get(site)
        if task is None or (task.done() and task.result().is_stale()):
            task = self._files[site] = asyncio.create_task(self._file(target.join("/robots.txt")))
        file = await asyncio.shield(task)  # others wait for it too
        if isinstance(file.rules, Refused):
            raise file.rules.copy()
        return file.rules

    async def _file(self, url: httpx.URL) -> _File:
        try:
            text = (await self._read(url)).decode("utf-8", "replace")
        except Refused as refusal:
            return _File(refusal, _REFUSAL_SECONDS)
        return _File(Protego.parse(text), _RULES_SECONDS)


class _File:
    """What a site's robots.txt says, or why that is not known, for some time."""

    def __init__(self, rules: Protego | Refused, seconds: float) -> None:
        self.rules = rules
        self._until = time.monotonic() + seconds

    def is_stale(self) -> bool:
        return time.monotonic() > self._until


def opt_out(headers: httpx.Headers) -> str:
    """The header by which an answer is reserved from training, such as "X-Robots-Tag: noai"."""
    if headers.get("tdm-reservation", "").strip() == "1":
        return "TDM-Reservation: 1"
    for tag in headers.get_list("x-robots-tag"):
        if refused := _directives_for_us(tag) & _NO_AI:
            return f"X-Robots-Tag: {', '.join(sorted(refused))}"
    return ""


def _directives_for_us(tag: str) -> set[str]:
    """`noindex, otherbot: noai, nofollow` -> {"noindex"}: an agent's name holds until the next.

    A name is one word; what has a space before its colon is the rest of a date, whose weekday ends
    with a comma too: `unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai`.
    """
    directives = set()
    agent = ""
    for part in tag.lower().split(","):
        name, colon, directive = map(str.strip, part.partition(":"))
        if not colon:
            directive = name
        elif name not in _WITH_VALUE and " " not in name:
            agent = name
        if agent in {"", "*", AGENT.lower()}:
            directives.add(directive)
    return directives
