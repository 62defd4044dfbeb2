"""Only public addresses are connected to, however a URL, a name or a redirect leads elsewhere.

`tests/ideitify/test_fetch.py` shows for many more spellings of addresses what is public.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore
import pytest

from scraper.source import SourceError
from tests.scraper.museum import Museum, picture
from tests.scraper.visitor import Visitor, visiting

PUBLIC_ADDRESS = "93.184.215.14"


class Internet:
    """Names as a test wants them; the public address leads to a museum on this machine."""

    def __init__(self, museum: Museum) -> None:
        self.museum = museum
        self.names: dict[str, list[list[str]]] = {"museum.test": [[PUBLIC_ADDRESS]]}
        self.asked: list[str] = []
        self.connected: list[str] = []
        self._resolve, self._connect = socket.getaddrinfo, httpcore.AnyIOBackend.connect_tcp

    def url(self, path: str, host: str = "museum.test") -> str:
        return self.museum.url(path, host)

    def getaddrinfo(self, host: str, *args: Any, **options: Any) -> list[Any]:
        """Each time a name is asked for, it gives its next answer; the last one stays."""
        if host not in self.names:
            return self._resolve(host, *args, **options)
        self.asked.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for each in addresses for found in self._resolve(each, *args, **options)]

    async def connect(self, sockets: httpcore.AnyIOBackend, host: str, *rest: Any) -> Any:
        self.connected.append(host)
        host = "127.0.0.1" if host == PUBLIC_ADDRESS else host
        return await self._connect(sockets, host, *rest)


@pytest.fixture
def internet(museum: Museum, monkeypatch: pytest.MonkeyPatch) -> Internet:
    internet = Internet(museum)
    monkeypatch.setattr(socket, "getaddrinfo", internet.getaddrinfo)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", lambda *to: internet.connect(*to))
    return internet


@pytest.fixture
def stranger(tmp_path: Path, internet: Internet) -> Iterator[Visitor]:
    """A visitor as they are by default: nothing private is allowed."""
    with visiting(tmp_path, allow_private=False) as visitor:
        internet.connected.clear()
        yield visitor


def test_a_public_host_is_reached_by_the_address_that_was_checked(
    internet: Internet, stranger: Visitor
) -> None:
    internet.names["museum.test"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]  # a name that changes
    assert stranger.download(internet.url("picture/3.jpg")).path.read_bytes() == picture(3)
    assert internet.connected == [PUBLIC_ADDRESS]
    assert internet.asked == ["museum.test"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254",
     "10.1.2.3", "192.168.1.1", "[fd00:ec2::254]", "[fe80::1]", "100.100.100.200", "224.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("way", ["straight", "by redirect"])
def test_an_address_that_is_not_public_is_refused(
    internet: Internet, stranger: Visitor, host: str, way: str
) -> None:
    url = internet.url("picture/3.jpg", host)
    if way == "by redirect":
        url = internet.museum.redirect(url, "museum.test")
    error = stranger.refusal(url)
    assert (error.reason, error.retry_later) == ("private_address", False)
    assert set(internet.connected) == ({PUBLIC_ADDRESS} if way == "by redirect" else set())
    assert internet.museum.count("picture/3.jpg") == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "fd00::1"])
@pytest.mark.parametrize("others", [[], [PUBLIC_ADDRESS]])
def test_a_name_that_leads_to_a_private_address_is_refused(
    internet: Internet, stranger: Visitor, address: str, others: list[str]
) -> None:
    internet.names["intranet.test"] = [[*others, address]]
    url = internet.url("picture/3.jpg", "intranet.test")
    for hidden in (url, internet.museum.redirect(url, "museum.test")):
        error = stranger.refusal(hidden)
        assert error.reason == "private_address"
        assert "intranet.test" in str(error)
    assert set(internet.connected) == {PUBLIC_ADDRESS}
    assert internet.museum.count("picture/3.jpg") == 0


def test_an_api_at_a_private_address_is_refused_too(museum: Museum, stranger: Visitor) -> None:
    with pytest.raises(SourceError, match="--allow-private"):
        stranger.web.json(museum.url("json"))
    assert museum.requests == []


def test_the_next_address_is_tried_when_one_does_not_answer(
    internet: Internet, visitor: Visitor
) -> None:
    internet.names["two.test"] = [["::1", "127.0.0.1"]]  # the museum listens on the second
    assert visitor.download(internet.url("picture/3.jpg", "two.test")).suffix == ".jpg"
