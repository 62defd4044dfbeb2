"""Connections to public addresses only; the asynchronous brother of `ideitify.fetch`'s.

Sources and redirects choose where we connect to. So every name is resolved here, refused unless all
its addresses are public, and the connection is made to the address that was checked: a name that
answers differently the second time gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from functools import partial

import httpcore
import httpx

from ideitify.fetch import OTHER_PORTS, WEB_PORTS, is_public
from scraper.web.refusal import Refused


def parse_url(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """An http or https URL, without user name and password, on a port that web servers use.

    Args:
        base: what a relative `url` (a redirect's) is relative to.

    Raises:
        Refused: `bad_url`.
    """
    try:
        target = base.join(url) if base else httpx.URL(url.strip())
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Refused("bad_url", url[:100]) from error
    port_fits = target.port in WEB_PORTS or target.port in OTHER_PORTS
    if (
        target.scheme not in {"http", "https"}
        or not target.host
        or target.userinfo
        or not port_fits
    ):
        raise Refused("bad_url", url[:100])
    return target


# What a connection may hold back unread, half a megabyte: the loop takes all that is there at once,
# and 64 connections with as much as the kernel likes would take several times the memory.
_RECEIVE_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, unless told otherwise."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers; TLS still verifies `host` itself."""
        addresses = await _resolve(host, port, timeout)
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Refused("private_address", host)
        options = [_RECEIVE_BUFFER, *(socket_options or [])]
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(
                    address, port, timeout, local_address, options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """All IP addresses of a name."""
    try:
        async with asyncio.timeout(seconds):
            find = partial(socket.getaddrinfo, type=socket.SOCK_STREAM)
            found = await asyncio.to_thread(find, host, port)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
    except OSError as error:
        raise httpcore.ConnectError(error.strerror or str(error)) from error
    except UnicodeError as error:  # a label that cannot be one of a host name
        raise Refused("bad_url", host) from error
    return [str(address[0]) for *_, address in found]
