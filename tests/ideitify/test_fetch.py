"""What `fetch_photo` promises, against a real HTTP server on this machine."""

from __future__ import annotations

import gzip
import io
import ipaddress
import itertools
import pickle
import socket
import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest import mock
from urllib.parse import unquote

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ideitify import fetch
from ideitify.fetch import FetchError, fetch_photo, is_public
from ideitify.photo import PhotoError, open_photo
from ideitify.settings import Settings

PUBLIC = Settings()
LOCAL = Settings(allow_private=True)

PUBLIC_ADDRESS = "93.184.215.14"

PATIENCE = 20  # seconds; a slow server ends its answer then, and whoever is still there gets it


def png() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((60, 40), 50).save(file, "PNG")
    return file.getvalue()


PHOTO = png()
PAGE = b"<!DOCTYPE html><html><body>Not a photo</body></html>"


class Handler(BaseHTTPRequestHandler):
    """Each path is one way of a server to behave, or to misbehave."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        name, _, rest = self.path.removeprefix("/").partition("/")
        getattr(self, f"give_{name}", self.give_nothing)(unquote(rest))

    def give(self, body: bytes, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def give_nothing(self, _: str) -> None:
        self.give(b"no such page", 404)

    def give_photo(self, _: str) -> None:
        self.give(PHOTO, Content_Type="image/png")

    def give_mislabelled(self, _: str) -> None:
        self.give(PHOTO, Content_Type="text/plain")

    def give_page(self, _: str) -> None:
        self.give(PAGE, Content_Type="text/html")

    def give_status(self, status: str) -> None:
        self.give(b"", int(status))

    def give_redirect(self, target: str) -> None:
        self.give(b"", 302, Location=target)

    def give_loop(self, _: str) -> None:
        self.give_redirect("/loop")

    def give_chain(self, left: str) -> None:
        self.give_redirect(f"/chain/{int(left) - 1}" if int(left) else "/photo")

    def give_zipped(self, _: str) -> None:
        bomb = gzip.compress(bytes(10**7))
        self.give(bomb, Content_Encoding="gzip")

    def give_announced(self, size: str) -> None:
        self.give(b"only this", Content_Length=int(size))

    def give_endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in itertools.count():
            self.wfile.write(bytes(65536))

    def give_drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.trickle()

    def give_dripping_header(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.trickle()
        self.wfile.write(b"\r\n\r\n")

    def trickle(self) -> None:
        for _ in range(50 * PATIENCE):
            self.wfile.write(b".")
            time.sleep(0.02)

    def give_silence(self, _: str) -> None:
        time.sleep(PATIENCE)

    def give_garbage(self, _: str) -> None:
        self.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what many of these tests are about."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Internet:
    """Names and public addresses as a test wants them; a public address leads to its server."""

    def __init__(self, server: Server) -> None:
        self.port = server.server_port
        self.names: dict[str, list[list[str]]] = {"photos.test": [[PUBLIC_ADDRESS]]}
        self.asked: list[str] = []
        self.connected: list[str] = []
        self._resolve, self._connect = socket.getaddrinfo, socket.create_connection

    def url(self, path: str, host: str = "photos.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/{path}"

    def getaddrinfo(self, host: str, *args: Any, **options: Any) -> list[Any]:
        """Each time a name is asked for, it gives its next answer; the last one stays."""
        if host not in self.names:
            return self._resolve(host, *args, **options)
        self.asked.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for each in addresses for found in self._resolve(each, *args, **options)]

    def create_connection(self, address: tuple[str, int], *args: Any, **options: Any) -> Any:
        self.connected.append(address[0])
        host = "127.0.0.1" if address[0] == PUBLIC_ADDRESS else address[0]
        return self._connect((host, address[1]), *args, **options)


@pytest.fixture
def internet(server: Server, monkeypatch: pytest.MonkeyPatch) -> Internet:
    internet = Internet(server)
    monkeypatch.setattr(socket, "getaddrinfo", internet.getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", internet.create_connection)
    return internet


def refusal(url: str, limits: Settings = LOCAL) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch_photo(url, limits)
    return caught.value


# ----------------------------------------------------------------------------------- what is given


@pytest.mark.parametrize("path", ["photo", "mislabelled", "redirect//photo", "chain/4"])
def test_a_photo_comes_byte_for_byte(server: Server, path: str) -> None:
    assert fetch_photo(f"{server.url}/{path}", LOCAL) == PHOTO


def test_a_public_name_is_reached_without_any_special_setting(internet: Internet) -> None:
    assert fetch_photo(internet.url("photo"), PUBLIC) == PHOTO


def test_spaces_around_the_url_and_letters_of_any_script_in_it_do_no_harm(server: Server) -> None:
    assert fetch_photo(f"  {server.url}/photo/गणेश 1.png?a=b#part\n", LOCAL) == PHOTO
    assert server.seen[0][0] == "/photo/%E0%A4%97%E0%A4%A3%E0%A5%87%E0%A4%B6%201.png?a=b"


def test_the_server_learns_the_host_and_nothing_of_the_user(
    internet: Internet, server: Server
) -> None:
    fetch_photo(internet.url("photo"), PUBLIC)
    headers = {name.lower(): value for name, value in server.seen[0][1].items()}
    assert headers.pop("host") == f"photos.test:{server.server_port}"
    assert headers.keys() <= {"user-agent", "accept", "accept-encoding", "connection"}


def test_a_web_page_is_given_as_it_is_and_refused_as_a_photo(server: Server) -> None:
    body = fetch_photo(f"{server.url}/page", LOCAL)
    assert body == PAGE
    with pytest.raises(PhotoError, match="web page"):
        open_photo(body, limits=LOCAL)


def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch_photo(f"{server.url}/photo", LOCAL) == PHOTO


# ------------------------------------------------------------------- addresses that are not public


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.8.9.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.1.2.3",
     "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fe80::1]", "[fc00::1]",
     "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1",
     "[ff02::1]", "255.255.255.255", "240.0.0.1", "198.18.0.1"],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(server: Server, host: str) -> None:
    error = refusal(f"http://{host}:{server.server_port}/photo", PUBLIC)
    assert error.reason == "private_address"
    assert server.seen == []


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
     "localhost.", "①②⑦.⓪.⓪.①", "[::ffff:127.0.0.1%25lo]", "%31%32%37.0.0.1"],
)  # fmt: skip
def test_other_spellings_of_this_machine_are_refused(server: Server, host: str) -> None:
    error = refusal(f"http://{host}:{server.server_port}/photo", PUBLIC)
    assert error.reason in {"private_address", "bad_url", "no_network"}  # as the system reads them
    assert server.seen == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "fd00::1"])
def test_a_name_that_leads_to_a_private_address_is_refused(
    internet: Internet, server: Server, address: str
) -> None:
    internet.names["intranet.test"] = [[address]]
    internet.names["half.test"] = [[PUBLIC_ADDRESS, address]]
    for name in ("intranet.test", "half.test"):
        error = refusal(internet.url("photo", name), PUBLIC)
        assert error.reason == "private_address"
        assert name in str(error)
    assert internet.connected == []


@pytest.mark.parametrize("target", ["127.0.0.1", "169.254.169.254/latest/meta-data/", "localhost"])
def test_a_redirect_to_a_private_address_is_refused(internet: Internet, target: str) -> None:
    error = refusal(internet.url(f"redirect/http://{target}"), PUBLIC)
    assert error.reason == "private_address"
    assert internet.connected == [PUBLIC_ADDRESS]


def test_a_name_is_asked_for_once_and_the_checked_address_is_the_one_used(
    internet: Internet,
) -> None:
    internet.names["rebinding.test"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    assert fetch_photo(internet.url("photo", "rebinding.test"), PUBLIC) == PHOTO
    assert internet.asked == ["rebinding.test"]
    assert internet.connected == [PUBLIC_ADDRESS]


def test_a_name_that_changes_during_redirects_is_checked_again(internet: Internet) -> None:
    internet.names["rebinding.test"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    assert refusal(internet.url("chain/1", "rebinding.test"), PUBLIC).reason == "private_address"
    assert internet.connected == [PUBLIC_ADDRESS]


def test_the_next_address_is_tried_when_one_does_not_answer(internet: Internet) -> None:
    internet.names["two.test"] = [["::1", "127.0.0.1"]]  # the server listens on the second
    assert fetch_photo(internet.url("photo", "two.test"), LOCAL) == PHOTO
    assert internet.connected == ["::1", "127.0.0.1"]


PRIVATE_NETWORKS = [
    "168.63.129.16/32", "192.88.99.0/24",
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip


@given(
    st.sampled_from(PRIVATE_NETWORKS).flatmap(lambda network: st.ip_addresses(network=network)),
    st.sampled_from(["{}", "::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}"]),
)
def test_no_writing_of_a_private_ipv4_address_is_public(
    address: ipaddress.IPv4Address, writing: str
) -> None:
    assert not is_public(writing.format(address))


@pytest.mark.parametrize("network", ["::/128", "::1/128", "2001:db8::/32", "2002::/16", "fc00::/7",
                                     "fe80::/10", "fec0::/10", "ff00::/8"])  # fmt: skip
@given(st.data())
def test_no_special_ipv6_address_is_public(network: str, data: st.DataObject) -> None:
    assert not is_public(str(data.draw(st.ip_addresses(network=network))))


@pytest.mark.parametrize(
    "address", [PUBLIC_ADDRESS, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


# -------------------------------------------------------------------------------------- unfit URLs


@pytest.mark.parametrize(
    "url",
    ["", "ganesha.jpg", "//photos.test/a.jpg", "ftp://photos.test/a.jpg", "file:///etc/passwd",
     "data:image/png;base64,iVBORw0KGgo=", "javascript:alert(1)", "http://", "https:///a.jpg",
     "http://user:secret@photos.test/a.jpg", "http://user@photos.test/", "http://photos.test:22/",
     "http://photos.test:0/", "http://photos.test:65558/", "http://photos.test:-1/",
     "http://photos.test:x/", "http://[::1/", "http://photos.test/\r\nHost: other.test",
     "http://" + "a" * 70 + ".test/", "http://a..test/", "http://photos.test/" + "a" * 70_000],
)  # fmt: skip
def test_what_is_no_address_of_a_picture_is_refused(internet: Internet, url: str) -> None:
    assert refusal(url, PUBLIC).reason == "bad_url"
    assert internet.connected == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://photos.test/", "http://a:b@photos.test/",
                                    "http://photos.test:25/", "http://[::1/"])  # fmt: skip
def test_a_redirect_to_such_an_address_is_refused_too(internet: Internet, target: str) -> None:
    assert refusal(internet.url(f"redirect/{target}"), PUBLIC).reason == "bad_url"


@given(st.text(max_size=60) | st.text(max_size=30).map(lambda text: f"http://{text}"))
def test_arbitrary_text_is_refused_and_does_nothing_else(text: str) -> None:
    with mock.patch.object(socket, "getaddrinfo", side_effect=socket.gaierror("no such name")):
        assert refusal(text, PUBLIC).reason in {"bad_url", "no_network"}


# ------------------------------------------------------------------------------------------ limits


def test_a_redirect_loop_ends(server: Server) -> None:
    assert refusal(f"{server.url}/loop").reason == "too_many_redirects"
    assert len(server.seen) == LOCAL.fetch_redirects + 1


def test_one_redirect_more_than_allowed_is_too_many(server: Server) -> None:
    limits = Settings(allow_private=True, fetch_redirects=2)
    assert fetch_photo(f"{server.url}/chain/1", limits) == PHOTO
    assert refusal(f"{server.url}/chain/2", limits).reason == "too_many_redirects"


@pytest.mark.parametrize("path", ["endless", "announced/1000000000000", "photo"])
def test_a_body_larger_than_allowed_is_refused(server: Server, path: str) -> None:
    error = refusal(f"{server.url}/{path}", Settings(allow_private=True, max_bytes=1000))
    assert error.reason == "too_large"


def test_a_body_of_exactly_the_largest_size_is_taken(server: Server) -> None:
    limits = Settings(allow_private=True, max_bytes=len(PHOTO))
    assert fetch_photo(f"{server.url}/photo", limits) == PHOTO


def test_a_compressed_body_is_refused_unopened(server: Server) -> None:
    assert refusal(f"{server.url}/zipped").reason == "bad_response"


@pytest.mark.parametrize("path", ["drip", "dripping_header", "silence"])
def test_a_slow_server_is_left_when_the_time_is_over(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(fetch, "IDLE_SECONDS", 2 * PATIENCE)
    error = refusal(f"{server.url}/{path}", Settings(allow_private=True, fetch_seconds=0.3))
    assert error.reason == "timeout", "the server's end was waited for"


def test_a_server_that_says_nothing_is_left_before_the_whole_time_is_over(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "IDLE_SECONDS", 0.2)
    limits = Settings(allow_private=True, fetch_seconds=2 * PATIENCE)
    error = refusal(f"{server.url}/silence", limits)
    assert error.reason == "timeout", "the server's end was waited for"


def test_a_name_that_takes_long_to_resolve_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_up = Event()
    resolved = []

    def resolve(*_: object, **__: object) -> list[Any]:
        given_up.wait(PATIENCE)
        resolved.append("slow.test")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert refusal("http://slow.test/", Settings(fetch_seconds=0.2)).reason == "timeout"
    assert resolved == []
    given_up.set()


# ------------------------------------------------------------------------------- servers that fail


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nowhere", "not_found"), ("status/410", "not_found"), ("status/403", "http_status"),
     ("status/500", "http_status"), ("status/204", "http_status"), ("status/302", "http_status"),
     ("announced/1000", "bad_response"), ("garbage", "bad_response")],
)  # fmt: skip
def test_a_server_that_gives_no_picture_is_told_from_one_that_is_not_there(
    server: Server, path: str, reason: str
) -> None:
    assert refusal(f"{server.url}/{path}").reason == reason


def test_a_host_that_cannot_be_reached_is_told(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert refusal(f"http://127.0.0.1:{port}/").reason == "no_network"
    assert refusal("http://no-such-host.invalid/").reason == "no_network"


def test_a_refusal_survives_the_way_between_processes() -> None:
    error = refusal("http://[::1]/", PUBLIC)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == (str(error), error.reason)


# --------------------------------------------------------------------------------------------- TLS


@pytest.fixture
def authority(server: Server) -> Any:
    """It vouches for the server, which speaks TLS as photos.test from now on."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("photos.test").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return authority


@pytest.fixture
def trusted_authority(
    authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The list of authorities that are trusted is this one's certificate."""
    certificates = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(certificates))
    monkeypatch.setattr(certifi, "where", lambda: str(certificates))
    fetch._ssl_context.cache_clear()
    yield
    fetch._ssl_context.cache_clear()


@pytest.mark.usefixtures("trusted_authority")
def test_tls_verifies_the_name_though_the_connection_goes_to_an_address(internet: Internet) -> None:
    assert fetch_photo(internet.url("photo", scheme="https"), PUBLIC) == PHOTO
    assert internet.connected == [PUBLIC_ADDRESS]
    internet.names["other.test"] = internet.names["photos.test"]
    error = refusal(internet.url("photo", "other.test", "https"), PUBLIC)
    assert error.reason == "no_network"
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__)


@pytest.mark.usefixtures("authority")
def test_a_certificate_that_nobody_vouches_for_is_refused(internet: Internet) -> None:
    error = refusal(internet.url("photo", scheme="https"), PUBLIC)
    assert error.reason == "no_network"
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__)


# ------------------------------------------------------------------------------------ names in code

NO_PUNYCODE = "http://xn--a.com/x.jpg"  # "a" encodes no letter


def test_a_name_that_pretends_to_be_encoded_is_refused(internet: Internet) -> None:
    assert refusal(NO_PUNYCODE, PUBLIC).reason == "bad_url"
    assert internet.connected == []


def test_a_redirect_to_such_a_name_is_refused_too(internet: Internet) -> None:
    assert refusal(internet.url(f"redirect/{NO_PUNYCODE}"), PUBLIC).reason == "bad_url"
    assert internet.connected == [PUBLIC_ADDRESS]
