"""The one way to the web: politely, safely, and with bounded memory.

Requests run on one event loop in a thread of its own, many at a time. httpcore is the engine of
httpx (HTTP/1.1 and, over TLS, HTTP/2); it is used directly because each redirect, address and byte
is checked here. Proxies of the environment are not used: they would connect to addresses that
nobody checked.

APIs are made for programs to ask, so robots.txt, which speaks to crawlers, rules downloads alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import uniform
from threading import Thread
from typing import Any, Generic, TypeVar

import httpcore
import httpx

from scraper.settings import ScraperSettings
from scraper.source import SourceError
from scraper.web.addresses import parse_url
from scraper.web.arrival import Answer, Arrival, host_of
from scraper.web.connections import Connections
from scraper.web.hosts import HostEvent, HostLimits, parse_retry_after
from scraper.web.refusal import Refused, Retry
from scraper.web.robots import AGENT, MAX_ROBOTS_BYTES, RobotsFiles, opt_out
from scraper.web.signature import describe

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

Result = TypeVar("Result")

NOTABLE_SECONDS = 0.01  # what a host kept us waiting is told from that on
_JSON = {"Accept": "application/json, */*;q=0.5", "Accept-Encoding": "gzip"}
_PICTURE = {"Accept": "image/*", "Accept-Encoding": "identity"}
_TEXT = {"Accept": "text/plain, */*;q=0.5", "Accept-Encoding": "gzip"}

_REDIRECTS = {301, 302, 303, 307, 308}
_MAY_HEAL = {408, 425, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524}  # 52x: Cloudflare's


class PoliteWeb:
    """A context manager; implements `scraper.source.Web`, and downloads pictures.

    Attributes:
        loop: the event loop, while the context lasts.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        settings: ScraperSettings,
        *,
        allow_private: bool = False,
        on_host: Callable[[HostEvent], None] | None = None,
        limits: HostLimits | None = None,
    ) -> None:
        """Prepare, without any request yet.

        Args:
            allow_private: let URLs lead to private and loopback addresses.
            on_host: called on the loop's thread with what politeness did; it must not wait.
            limits: those of all who share them; its own by default.
        """
        self._settings = settings
        self._on_host = on_host
        self._limits = limits or HostLimits(settings)
        self._delayed: set[str] = set()
        self._robots = RobotsFiles(self._read_robots)
        self._closing = asyncio.Event()
        self._connections = Connections(
            most=settings.concurrency,
            idle_seconds=settings.idle_seconds,
            allow_private=allow_private,
        )

    def __enter__(self) -> PoliteWeb:
        self.loop = new_event_loop()
        self._thread = Thread(target=self._run, name="polite-web", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what is still under way."""
        self.loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run a coroutine on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def json(self, url: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET and parse JSON; to be called from any thread but the loop's.

        Raises:
            SourceError: see `scraper.source.Web`; its `__cause__` is the `Refused`, if it was one.
        """
        try:
            target = parse_url(url)
            target = target.copy_merge_params(params) if params else target
            body = self.submit(self._get(target, _Errand(self._whole_text, _JSON))).result()
        except Refused as refusal:
            raise SourceError(str(refusal)) from refusal
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            advice = "it may block programs, want a contact in the settings, or be out of order"
            message = f"{target.host} sends {describe(body)} instead of JSON: {advice}."
            raise SourceError(message) from error

    async def download(self, url: str, folder: Path) -> Arrival:
        """Fetch a picture, a large one into a temporary file in `folder`; on the loop.

        May be called for thousands of URLs at a time: each waits for its host's turn.

        Raises:
            Refused: there is no picture, and no file is left.
        """
        save = partial(Answer.save, folder=folder, max_bytes=self._settings.max_bytes)
        return await self._get(parse_url(url), _Errand(save, _PICTURE, crawls=True))

    async def is_unchanged(self, url: str, etag: str, last_modified: str) -> bool:
        """Whether the server says that a picture is still the one that arrived; on the loop.

        False where it says that it changed, or does not say: only `download` tells then.

        Raises:
            Refused: as from `download`; `status` 404 and 410 mean that it is gone.
        """
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = _PICTURE | {name: value for name, value in conditions.items() if value}

        async def has_same_tag(answer: Answer) -> bool:
            return bool(etag) and answer.headers.get("etag") == etag

        try:
            return await self._get(parse_url(url), _Errand(has_same_tag, headers, crawls=True))
        except Refused as refusal:
            if refusal.status == 304:
                return True
            raise

    async def _whole_text(self, answer: Answer) -> bytes:
        limit = self._settings.max_json_bytes
        body = await answer.text(limit)
        if len(body) > limit:
            detail = f"max_json_bytes, {limit / 2**20:.3g} MB"
            raise Refused("too_large", answer.host, detail)
        return body

    # ------------------------------------------------------------------- the loop and its thread

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        async with self._connections:
            await self._closing.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    # ---------------------------------------------------------------------------- asking politely

    async def _get(self, target: httpx.URL, errand: _Errand[Result]) -> Result:
        """Ask until there is an answer that is taken, or no use in asking again."""
        for attempt in count():
            try:
                return await self._follow(target, errand)
            except Refused as refusal:
                if refusal.retry != "now":
                    raise
                if attempt == self._settings.retries:
                    refusal.retry = "later"
                    raise
            await asyncio.sleep(self._settings.backoff_seconds * 2**attempt * uniform(0.5, 1))
        raise AssertionError("counting never ends")

    async def _follow(self, target: httpx.URL, errand: _Errand[Result]) -> Result:
        for _ in range(self._settings.redirects + 1):
            if errand.crawls:
                await self._obey_robots(target)
            async with self._turn(host_of(target)):
                outcome = await self._ask(target, errand)
            if not isinstance(outcome, httpx.URL):
                return outcome
            target = outcome
        raise Refused("too_many_redirects", host_of(target), str(self._settings.redirects))

    async def _obey_robots(self, target: httpx.URL) -> None:
        host = host_of(target)
        rules = await self._robots.rules(target)
        delay = rules.crawl_delay(AGENT)
        if delay and self._limits.slow_down(host, delay):
            self._tell(host, "crawl_delay", f"{delay:g} s between requests")
        if not rules.can_fetch(str(target), AGENT):
            self._tell(host, "robots_disallowed", target.path)
            raise Refused("robots", host, f"its robots.txt disallows {target.path}")

    async def _read_robots(self, url: httpx.URL) -> bytes:
        """A site's robots.txt; empty where there is none, as RFC 9309 reads the status."""
        read = partial(Answer.text, limit=MAX_ROBOTS_BYTES)
        try:
            return await self._get(url, _Errand(read, _TEXT))
        except Refused as refusal:
            is_missing = refusal.reason == "http_status" and not refusal.retry_later
            if is_missing or refusal.reason == "too_many_redirects":
                return b""
            self._tell(host_of(url), "robots_unreadable", str(refusal))
            if refusal.reason != "http_status":
                raise
            detail = f"its robots.txt answers with status {refusal.status}"
            raise Refused("robots", refusal.host, detail, retry="later") from refusal

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        waited = await self._limits.acquire(host)
        try:
            if waited > NOTABLE_SECONDS and host not in self._delayed:
                self._delayed.add(host)
                self._tell(host, "delayed", self._limits.describe(host))
            yield
        finally:
            self._limits.release(host)

    # -------------------------------------------------------------------------------- one request

    async def _ask(self, target: httpx.URL, errand: _Errand[Result]) -> Result | httpx.URL:
        """Return what `errand` makes of the answer, or where the server redirects to."""
        host = host_of(target)
        total, idle = self._settings.total_seconds, self._settings.idle_seconds
        headers = {"User-Agent": self._settings.user_agent} | errand.headers
        try:
            async with asyncio.timeout(total), self._connections.get(target, headers) as answer:
                self._check(answer, errand.crawls)
                if answer.status in _REDIRECTS:
                    return parse_url(answer.headers["location"], base=target)
                return await errand.take(answer)
        except TimeoutError as error:
            detail = f"{total:g} s for its answer"
            raise Refused("timeout", host, detail, retry="later") from error
        except httpcore.TimeoutException as error:
            raise Refused("timeout", host, f"{idle:g} s for its next word") from error
        except httpcore.NetworkError as error:
            raise Refused("no_network", host, str(error) or "the connection broke") from error
        except httpcore.ProtocolError as error:
            raise Refused("bad_response", host, str(error).rstrip(".")) from error

    def _check(self, answer: Answer, crawls: bool) -> None:
        """Refuse all answers but status 200 and redirects, and those that are reserved."""
        status, host = answer.status, answer.host
        wish = parse_retry_after(answer.headers.get("retry-after", ""))
        if status == 429 or (status == 503 and wish is not None):
            seconds = self._settings.backoff_seconds if wish is None else wish
            self._limits.rest(host, seconds)
            self._tell(host, "retry_after", f"{seconds:.0f} s, with status {status}")
            raise Refused("rate_limited", host, f"for {seconds:.0f} s", status=status)
        if status in _REDIRECTS and "location" in answer.headers:
            return
        if status != 200:
            retry: Retry = "now" if status in _MAY_HEAL else "never"
            raise Refused("http_status", host, str(status), status=status, retry=retry)
        if crawls and (reservation := opt_out(answer.headers)):
            self._tell(host, "opted_out", f"{reservation} at {answer.url.path}")
            raise Refused("opted_out", host, reservation)

    def _tell(self, host: str, event: str, detail: str) -> None:
        if self._on_host:
            self._on_host(HostEvent(host, event, detail))


@dataclass(frozen=True)
class _Errand(Generic[Result]):
    """What to ask with, and what to do with the answer.

    Attributes:
        crawls: robots.txt and opt-outs are to be obeyed.
    """

    take: Callable[[Answer], Awaitable[Result]]
    headers: dict[str, str]
    crawls: bool = False
