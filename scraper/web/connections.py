"""Connections to servers, kept for the next request and, over HTTP/2, shared.

httpcore's own pool looks several times a request at all its connections, with a system call for
each that is idle; at 64 requests at a time that takes longer than the requests themselves. As
`scraper.web.hosts` knows who may ask when, no more is needed than a list of those that are free.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property

import httpcore
import httpx

from scraper.web.addresses import CheckedBackend
from scraper.web.arrival import Answer, host_of

KEEP_SECONDS = 30.0  # an idle connection waits that long for the next request to its host
_PORTS = {"http": 80, "https": 443}


class Connections:
    """An async context manager; at its end all connections are closed."""

    def __init__(self, *, most: int, idle_seconds: float, allow_private: bool) -> None:
        """Prepare.

        Args:
            most: connections kept while nobody uses them.
            idle_seconds: the longest wait for a connection or its next bytes.
            allow_private: connect to private and loopback addresses too.
        """
        self._most = most
        self._extensions = {"timeout": dict.fromkeys(("connect", "read", "write"), idle_seconds)}
        self._backend = CheckedBackend(allow_private)
        self._free: list[_Connection] = []

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._free:
            await connection.aclose()

    @asynccontextmanager
    async def get(self, target: httpx.URL, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Send a GET request.

        Raises:
            httpcore's exceptions; `Refused` by the address check.
        """
        url = httpcore.URL(
            scheme=target.raw_scheme,
            host=target.raw_host,
            port=target.port or _PORTS[target.scheme],
            target=target.raw_path,
        )
        sent = [("Host", host_of(target)), *headers.items()]
        connection = await self._take(url.origin)
        answer = None
        try:
            async with connection.stream(
                "GET", url, headers=sent, extensions=self._extensions
            ) as reply:
                if reply.extensions["http_version"] == b"HTTP/2":
                    self._share(connection)
                async with Answer(target, reply) as answer:
                    yield answer
        finally:
            await self._give_back(connection, is_clean=answer is not None and answer.is_read)

    async def _take(self, origin: httpcore.Origin) -> _Connection:
        """A free connection, or a new one that connects when it is first used."""
        while connection := self._fitting(origin):
            is_usable = connection.is_available() and not connection.has_expired()
            if not (is_usable and connection.is_shared):
                self._free.remove(connection)
            if is_usable:
                return connection
            await connection.aclose()
        return _Connection(
            origin,
            self._ssl_context if origin.scheme == b"https" else None,
            keepalive_expiry=KEEP_SECONDS,
            http2=True,
            network_backend=self._backend,
        )

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        """Checks certificates by certifi's or, if set, `SSL_CERT_FILE`'s; takes long to make."""
        return httpx.create_ssl_context()

    def _fitting(self, origin: httpcore.Origin) -> _Connection | None:
        fitting = (each for each in reversed(self._free) if each.can_handle_request(origin))
        return next(fitting, None)

    def _share(self, connection: _Connection) -> None:
        connection.is_shared = True
        if connection not in self._free:
            self._free.append(connection)

    async def _give_back(self, connection: _Connection, is_clean: bool) -> None:
        """Keep the connection, or close it if it may go on with what nobody reads.

        httpcore does not reset an HTTP/2 stream that is left unread (its issue 943); it would fill
        the window that all streams of the connection share, until nothing passes any more.
        """
        if connection in self._free:
            self._free.remove(connection)
        if is_clean and connection.is_available():
            self._free.append(connection)
        else:
            await connection.aclose()
        while len(self._free) > self._most and (idle := [c for c in self._free if c.is_idle()]):
            self._free.remove(idle[0])
            await idle[0].aclose()


class _Connection(httpcore.AsyncHTTPConnection):
    """Attributes: is_shared, whether several requests may use it at a time (HTTP/2)."""

    is_shared = False
