"""Over TLS, `PoliteWeb` speaks HTTP/2 with servers that do; here with hypercorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.scraper.museum import picture
from tests.scraper.visitor import Visitor, changed, visiting

LARGE = 4 * 2**20  # bytes
LARGE_PICTURE = picture(0) + bytes(LARGE - len(picture(0)))


class Gallery:
    """An ASGI application that gives pictures, and notes how it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.versions: set[str] = set()
        self.clients: set[Any] = set()

    def url(self, path: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/{path}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.versions.add(scope["http_version"])
        self.clients.add(scope["client"])
        way, _, name = scope["path"].removeprefix("/").partition("/")
        status, headers, body = 200, [], picture(int(name or 0))
        if way == "robots.txt":
            status, body = 404, b""
        elif way == "reserved":
            headers, body = [(b"tdm-reservation", b"1")], LARGE_PICTURE
        elif way == "large":
            body = LARGE_PICTURE
        elif way == "silence":
            await asyncio.sleep(3600)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def gallery(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    certificate = tmp_path_factory.mktemp("certificate") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gallery = Gallery(listening.getsockname()[1])
        config = Config()
        config.bind = [f"fd://{listening.detach()}"]
        config.certfile = config.keyfile = str(certificate)
        config.graceful_timeout = 0.1
        config.loglevel = "CRITICAL"
    loop = asyncio.new_event_loop()
    closing = asyncio.Event()
    serving = serve(gallery, config, shutdown_trigger=closing.wait)  # type: ignore[arg-type]
    thread = Thread(target=loop.run_until_complete, args=(serving,), daemon=True)
    thread.start()
    yield gallery
    loop.call_soon_threadsafe(closing.set)
    thread.join()
    loop.close()


@pytest.fixture
def trusting(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    """A visitor to whom the gallery's authority is known, as to users behind a company's."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    folder = tmp_path / "folder"
    folder.mkdir()
    with visiting(folder, changed(max_bytes=LARGE, retries=0)) as visitor:
        yield visitor


def test_pictures_come_over_http2(gallery: Gallery, trusting: Visitor) -> None:
    gallery.versions.clear()
    arrival = trusting.download(gallery.url("picture/3"))
    assert arrival.path.read_bytes() == picture(3)
    assert gallery.versions == {"2"}


def test_requests_at_the_same_time_share_a_connection(gallery: Gallery, trusting: Visitor) -> None:
    trusting.download(gallery.url("picture/0"))
    gallery.clients.clear()
    arrivals = trusting.download_all([gallery.url(f"picture/{n}") for n in range(60)])
    assert [each.path.read_bytes() for each in arrivals] == [picture(n) for n in range(60)]
    assert len(gallery.clients) == 1


def test_large_pictures_at_the_same_time_come_whole(gallery: Gallery, trusting: Visitor) -> None:
    arrivals = trusting.download_all([gallery.url("large")] * 10)
    assert {each.size for each in arrivals} == {LARGE}
    assert len({each.sha256 for each in arrivals}) == 1


def test_answers_that_are_left_unread_block_no_others(gallery: Gallery, trusting: Visitor) -> None:
    for _ in range(8):  # more bytes than an HTTP/2 connection lets lie about
        assert trusting.refusal(gallery.url("reserved")).reason == "opted_out"
    assert trusting.download(gallery.url("large")).size == LARGE


def test_a_stream_that_is_silent_ends_and_the_next_picture_comes(
    gallery: Gallery, authority: trustme.CA, tmp_path: Path, trusting: Visitor
) -> None:
    folder = tmp_path / "impatient"
    folder.mkdir()
    with visiting(folder, changed(total_seconds=3, retries=0)) as impatient:
        assert impatient.refusal(gallery.url("silence")).reason == "timeout"
        assert impatient.download(gallery.url("picture/1")).path.read_bytes() == picture(1)


def test_a_server_whose_name_the_certificate_does_not_bear_is_refused(
    gallery: Gallery, trusting: Visitor
) -> None:
    error = trusting.refusal(gallery.url("picture/3", "127.0.0.1"))
    assert error.reason == "no_network"
    assert "certificate" in str(error)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    gallery: Gallery, visitor: Visitor
) -> None:
    assert visitor.refusal(gallery.url("picture/3")).reason == "no_network"
