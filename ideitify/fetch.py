"""A pasted URL -> the bytes behind it, without letting strangers look around in our network.

Whoever pastes a URL chooses where this server connects to. So every name, also that of each
redirect, is resolved here, refused unless all its addresses are public, and the connection is made
to the address that was checked: a name that answers differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import httpcore
import httpx

from ideitify.settings import Settings, settings

IDLE_SECONDS = 5.0  # a server that says nothing for so long will hardly go on
WEB_PORTS = {None, 80, 443}  # None: the one of the scheme
OTHER_PORTS = range(1024, 65536)  # those below belong to mail, remote shells and the like

HEADERS = {
    "User-Agent": "Ideitify/0.1 (fetches a picture that its user pasted)",
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # pictures are compressed already, and nothing can blow up
}
_REDIRECTS = {301, 302, 303, 307, 308}
_GONE = {404, 410}

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are the IPv4 address it leads to

# Not covered by `ipaddress`'s own properties, which the rest of `is_public` asks.
_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's metadata and management service
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service is 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays
        "2002::/16",  # 6to4: leads to whatever IPv4 address is written in it
        "fec0::/10",  # what private networks used before fc00::/7
    )
]

_REFUSALS = {
    "bad_url": "This is not the address of a picture: paste one that begins with https://.",
    "private_address": "{} is not on the public internet: upload the picture instead.",
    "too_large": "The picture is larger than {:.3g} MB: use a smaller one.",
    "timeout": "The picture did not arrive within {:g} seconds: try again, or upload it.",
    "too_many_redirects": "The address leads on more than {} times: paste the picture's own.",
    "not_found": "There is no picture at this address: check it.",
    "http_status": "The server refused to give the picture (status {}): upload it instead.",
    "bad_response": "The server's answer cannot be understood: upload the picture instead.",
    "no_network": "{} cannot be reached: check the address and the network.",
}


class FetchError(ValueError):
    """A URL cannot be fetched; the message is one sentence for its user: what is wrong, what to do.

    Attributes:
        reason: short stable code, a key of `_REFUSALS` such as "private_address" or "timeout".
    """

    def __init__(self, reason: str, detail: object = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(_REFUSALS[reason].format(detail))

    def __reduce__(self) -> tuple[type[FetchError], tuple[str, object]]:
        """Let the error cross process borders, where exceptions are pickled."""
        return type(self), (self.reason, self.detail)


def fetch_photo(url: str, limits: Settings | None = None) -> bytes:
    """Fetch what a URL points to; whether it is a photo is for `open_photo` to say.

    Proxies and other network settings of the environment are not used.

    Args:
        url: http or https, without user name and password.
        limits: `max_bytes`, `fetch_seconds`, `fetch_redirects` and `allow_private` are respected;
            the process's settings by default.

    Raises:
        FetchError: nothing was fetched; see its message and `reason`.
    """
    limits = limits or settings()
    target = _parse(url)
    backend = _CheckedBackend(time.monotonic() + limits.fetch_seconds, limits.allow_private)
    try:
        with httpcore.ConnectionPool(ssl_context=_ssl_context(), network_backend=backend) as pool:
            for _ in range(limits.fetch_redirects + 1):
                answer = _get(pool, target, limits.max_bytes)
                if isinstance(answer, bytes):
                    return answer
                target = answer
    except httpcore.TimeoutException as error:
        raise FetchError("timeout", limits.fetch_seconds) from error
    except httpcore.NetworkError as error:
        raise FetchError("no_network", target.host) from error
    except httpcore.ProtocolError as error:
        raise FetchError("bad_response") from error
    raise FetchError("too_many_redirects", limits.fetch_redirects)


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, and not a way back into our network."""
    ip = ipaddress.ip_address(address)
    if ip in _NAT64:
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    special = ip.is_reserved or ip.is_multicast or any(ip in network for network in _NOT_PUBLIC)
    return ip.is_global and not special


def _parse(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        target = base.join(url) if base else httpx.URL(url.strip())
        host = target.host  # decodes punycode, which need not be any
    except (httpx.InvalidURL, ValueError) as error:  # `ValueError`: of `urljoin`
        raise FetchError("bad_url") from error
    if target.scheme not in {"http", "https"} or not host or target.userinfo:
        raise FetchError("bad_url")
    if target.port not in WEB_PORTS and target.port not in OTHER_PORTS:
        raise FetchError("bad_url")
    return target


def _get(pool: httpcore.ConnectionPool, target: httpx.URL, max_bytes: int) -> bytes | httpx.URL:
    """Return the body, or where the server redirects to."""
    url = httpcore.URL(
        scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
    )
    headers = [*HEADERS.items(), ("Host", target.netloc.decode("ascii"))]
    timeouts = dict.fromkeys(("connect", "read", "write"), IDLE_SECONDS)
    with pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as response:
        answer = httpx.Headers(response.headers)
        if response.status in _REDIRECTS and "location" in answer:
            return _parse(answer["location"], base=target)
        if response.status in _GONE:
            raise FetchError("not_found")
        if response.status != 200:
            raise FetchError("http_status", response.status)
        if answer.get("content-encoding", "identity") != "identity":
            raise FetchError("bad_response")
        if int(answer.get("content-length", 0)) > max_bytes:
            raise FetchError("too_large", max_bytes / 2**20)
        return _read(response.iter_stream(), max_bytes)


def _read(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise FetchError("too_large", max_bytes / 2**20)
    return bytes(body)


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to public addresses only, and to none after the deadline."""

    def __init__(self, deadline: float, allow_private: bool) -> None:
        """`deadline` is in the seconds of `time.monotonic`."""
        self._deadline = deadline
        self._allow_private = allow_private
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers; TLS still verifies `host` itself."""
        addresses = _resolve(host, port, _left(self._deadline))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise FetchError("private_address", host)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, _left(self._deadline, timeout), local_address, socket_options
                )
                return _DeadlineStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A connection on which every wait ends at the deadline, however slowly its bytes drip."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None = None) -> float:
    """Seconds to wait: until the deadline, or `timeout` if that is less."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("past the deadline")
    return left if timeout is None else min(left, timeout)


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """All IP addresses of a name; the system's resolver has no time limit, hence the thread."""
    resolver = ThreadPoolExecutor(1)
    try:
        found = resolver.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found.result(seconds)]
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    except UnicodeError as error:  # a label that cannot be one of a host name
        raise FetchError("bad_url") from error
    finally:
        resolver.shutdown(wait=False)
