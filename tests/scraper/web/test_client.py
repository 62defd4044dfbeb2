"""What `PoliteWeb` promises, against a local museum that behaves and misbehaves as real ones do.

Politeness and private addresses have files of their own.
"""

from __future__ import annotations

import pickle
import socket
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from ideitify.photo import PhotoError, open_photo
from scraper.source import SourceError
from scraper.web import Arrival
from scraper.web.refusal import Refused
from tests.scraper.museum import Museum, bomb, picture
from tests.scraper.visitor import PATIENCE, Visitor, changed, kept, visiting
from tests.waiting import wait_until


@contextmanager
def less_memory_than(most: int) -> Iterator[None]:
    """Museum and visitor together allocate fewer bytes than these at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------- what arrives


@pytest.mark.parametrize(
    "path",
    ["picture/3.jpg", "copy/3.jpg", "chunked/3.jpg", "picture-as-page/3.jpg", "named/3.jpg",
     "chain/5/3.jpg", "picture/गणेश/3.jpg", "picture/%E0%A4%97/3.jpg", "../picture/x/../3.jpg",
     "picture/..%2F..%2F..%2Fetc/3.jpg", "picture/....//..;/3.jpg", "picture/%00/3.jpg",
     "picture/a b/3.php?name=../../c&d=%2e%2e%2f#/../e"],
)  # fmt: skip
def test_a_picture_comes_byte_for_byte_whatever_its_name(
    museum: Museum, visitor: Visitor, path: str
) -> None:
    arrival = visitor.download(museum.url(path))
    assert arrival.path.read_bytes() == picture(3)
    assert arrival.sha256 == sha256(picture(3)).hexdigest()
    assert (arrival.size, arrival.suffix) == (len(picture(3)), ".jpg")
    assert list(visitor.folder.iterdir()) == [arrival.path]
    assert [each.name for each in visitor.folder.parent.iterdir()] == ["folder"]


def test_the_suffix_goes_by_the_bytes(museum: Museum, visitor: Visitor) -> None:
    assert visitor.download(museum.url("png/3.jpg")).suffix == ".png"


def test_an_arrival_says_where_it_came_from_and_how_to_ask_again(
    museum: Museum, visitor: Visitor
) -> None:
    arrival = visitor.download(museum.url("chain/2/3.jpg"))
    assert arrival.url == museum.url("picture/3.jpg")
    assert arrival.etag.startswith('"')
    assert arrival.last_modified.endswith("GMT")


def test_many_at_a_time_share_the_connections_that_are_allowed(
    museum: Museum, tmp_path: Path
) -> None:
    museum.latency = 0.05
    with visiting(tmp_path, changed(concurrency=5)) as visitor:
        arrivals = visitor.download_all(museum.urls() * 3)
    assert len({arrival.sha256 for arrival in arrivals}) == 20
    assert len(list(tmp_path.iterdir())) == 60
    assert museum.most_visitors == 5
    assert museum.connections <= 5


def test_memory_does_not_grow_with_the_picture(tmp_path: Path) -> None:
    size = 100 * 10**6
    with (
        Museum(1, bytes_each=size) as museum,
        visiting(tmp_path, changed(max_bytes=size)) as visitor,
    ):
        url = museum.url("picture/0.jpg")
        visitor.download(url).path.unlink()  # what is made once, is made
        with less_memory_than(10**7):
            assert visitor.download(url).size == size


def test_memory_does_not_grow_with_what_is_packed(museum: Museum, tmp_path: Path) -> None:
    bomb()
    with (
        visiting(tmp_path, changed(max_json_bytes=10**6)) as visitor,
        less_memory_than(10**7),
        pytest.raises(SourceError),
    ):
        visitor.web.json(museum.url("bomb"))


# ------------------------------------------------------------------------------ what is tried again


@pytest.mark.parametrize(
    ("path", "requests"),
    [("healing/3.jpg", 3), ("truncated-once/3.jpg", 2), ("busy-silently/3.jpg", 2)],
)
def test_what_heals_is_asked_for_again(
    museum: Museum, visitor: Visitor, path: str, requests: int
) -> None:
    assert visitor.download(museum.url(path)).path.read_bytes() == picture(3)
    assert museum.count(path) == requests


def test_attempts_end(museum: Museum, tmp_path: Path) -> None:
    with visiting(tmp_path, changed(retries=1)) as visitor:
        error = visitor.refusal(museum.url("healing/3.jpg"))
    assert (error.reason, error.status, error.retry_later) == ("http_status", 500, True)
    assert museum.count("healing/3.jpg") == 2


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("path", "reason", "retry_later", "requests"),
    [
        ("nowhere/3.jpg", "http_status", False, 1),
        ("status/403/3.jpg", "http_status", False, 1),
        ("status/410/3.jpg", "http_status", False, 1),
        ("status/204/3.jpg", "http_status", False, 1),
        ("status/302/3.jpg", "http_status", False, 1),  # without a Location
        ("status/502/3.jpg", "http_status", True, 3),
        ("status/429/3.jpg", "rate_limited", True, 3),
        ("truncated/3.jpg", "truncated", True, 3),
        ("truncated-chunks/3.jpg", "truncated", True, 3),
        ("nonsense-length/3.jpg", "bad_response", True, 3),
        ("two-lengths/3.jpg", "bad_response", True, 3),
        ("garbage/3.jpg", "bad_response", True, 3),
        ("hang-up/3.jpg", "bad_response", True, 3),
        ("bomb/3.jpg", "not_a_picture", False, 1),
        ("endless/3.jpg", "too_large", False, 1),
        ("huge/3.jpg", "too_large", False, 1),
        ("loop/3.jpg", "too_many_redirects", False, 6),
        ("chain/6/3.jpg", "too_many_redirects", False, 1),
        ("page/3.jpg", "not_a_picture", False, 1),
        ("page-as-picture/3.jpg", "not_a_picture", False, 1),
        ("empty/3.jpg", "not_a_picture", False, 1),
        ("noai/3.jpg", "opted_out", False, 1),
        ("noimageai/3.jpg", "opted_out", False, 1),
        ("reserved/3.jpg", "opted_out", False, 1),
        ("redirect/ftp:%2F%2Fmuseum.test%2F3.jpg", "bad_url", False, 1),
        ("redirect/file:%2F%2F%2Fetc%2Fpasswd", "bad_url", False, 1),
        ("redirect/http:%2F%2Fme:secret@museum.test%2F3.jpg", "bad_url", False, 1),
    ],
)
def test_what_gives_no_picture_is_refused_with_its_reason(
    museum: Museum, tmp_path: Path, path: str, reason: str, retry_later: bool, requests: int
) -> None:
    with visiting(tmp_path, changed(retries=2)) as visitor:
        error = visitor.refusal(museum.url(path))
        assert visitor.download(museum.url("picture/4.jpg")).path.read_bytes() == picture(4)
    assert (error.reason, error.retry_later) == (reason, retry_later)
    assert museum.count(path) == requests
    assert str(error).endswith(".")


def test_the_misbehaviour_of_some_does_not_stop_the_others(museum: Museum, tmp_path: Path) -> None:
    bad = ["silence", "half-silence", "drip", "endless", "hang-up", "garbage", "bomb", "loop"]
    impatient = changed(concurrency=3, retries=1, idle_seconds=2, total_seconds=4)
    with visiting(tmp_path, impatient) as visitor:

        def download(url: str) -> Future[Arrival]:
            return visitor.web.submit(visitor.web.download(url, tmp_path))

        refused = [download(museum.url(f"{way}/3.jpg")) for way in bad]
        left = download(museum.url("silence/4.jpg"))
        arriving = [download(url) for url in museum.urls()]
        left.cancel()
        arrivals = [each.result(PATIENCE) for each in arriving]
        assert all(isinstance(each.exception(PATIENCE), Refused) for each in refused)
    assert [kept(each).path.read_bytes() for each in arrivals] == [picture(n) for n in range(20)]
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("path", ["silence/3.jpg", "half-silence/3.jpg"])
def test_a_server_that_says_nothing_more_is_left(museum: Museum, tmp_path: Path, path: str) -> None:
    with visiting(tmp_path, changed(idle_seconds=0.3, retries=1)) as visitor:
        error = visitor.refusal(museum.url(path))
    assert (error.reason, error.retry_later) == ("timeout", True)
    assert museum.count(path) == 2


@pytest.mark.parametrize("path", ["drip/3.jpg", "drip-of-headers/3.jpg"])
def test_a_server_that_drips_is_left_when_the_time_is_over(
    museum: Museum, tmp_path: Path, path: str
) -> None:
    with visiting(tmp_path, changed(total_seconds=1)) as visitor:
        error = visitor.refusal(museum.url(path))
    assert (error.reason, error.retry_later) == ("timeout", True)
    assert museum.count(path) == 1  # it will not be quicker the next moment


def test_a_picture_of_exactly_the_largest_size_is_taken(museum: Museum, tmp_path: Path) -> None:
    with visiting(tmp_path, changed(max_bytes=len(picture(3)))) as visitor:
        assert visitor.download(museum.url("picture/3.jpg")).path.read_bytes() == picture(3)


@pytest.mark.parametrize("path", ["picture/3.jpg", "chunked/3.jpg"])
def test_a_byte_more_is_too_much(museum: Museum, tmp_path: Path, path: str) -> None:
    with visiting(tmp_path, changed(max_bytes=len(picture(3)) - 1)) as visitor:
        assert visitor.refusal(museum.url(path)).reason == "too_large"


@pytest.mark.parametrize("path", ["cut/3.jpg", "truncated-silently/3.jpg"])
def test_a_cut_that_http_cannot_show_is_found_when_the_picture_is_opened(
    museum: Museum, visitor: Visitor, path: str
) -> None:
    arrival = visitor.download(museum.url(path))
    with pytest.raises(PhotoError, match="incomplete"):
        open_photo(arrival.path)


@pytest.mark.parametrize(
    "url",
    ["", "ganesha.jpg", "//museum.test/a.jpg", "ftp://museum.test/a.jpg", "file:///etc/passwd",
     "data:image/png;base64,iVBORw0KGgo=", "http://", "http://me:secret@museum.test/a.jpg",
     "http://museum.test:22/", "http://[::1/", "http://museum.test/\r\nHost: other.test",
     "http://" + "a" * 70 + ".test/"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(visitor: Visitor, url: str) -> None:
    assert visitor.refusal(url).reason == "bad_url"


def test_a_host_that_cannot_be_reached_is_told(visitor: Visitor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://no-such-host.invalid/"):
        error = visitor.refusal(url)
        assert (error.reason, error.retry_later) == ("no_network", True)


def test_a_refusal_survives_the_way_between_processes(museum: Museum, visitor: Visitor) -> None:
    error = visitor.refusal(museum.url("status/502/3.jpg"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


# --------------------------------------------------------------------------------------------- APIs


def test_json_comes_parsed_and_its_parameters_join_those_of_the_address(
    museum: Museum, visitor: Visitor
) -> None:
    answer = visitor.web.json(museum.url("json/search?page=2"), {"q": "गणेश & co", "n": 5})
    path, _, query = answer["path"].partition("?")
    assert path == "/json/search"
    assert query.split("&")[0] == "page=2"
    assert "n=5" in query.split("&")
    assert "q=%E0%A4%97%E0%A4%A3%E0%A5%87%E0%A4%B6+%26+co" in query.split("&")


def test_packed_json_is_unpacked(museum: Museum, visitor: Visitor) -> None:
    assert visitor.web.json(museum.url("packed-json"))["packed"] is True


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("page", "127.0.0.1 sends a web page instead of JSON"),
        ("empty", "127.0.0.1 sends nothing instead of JSON"),
        ("picture/3.jpg", "instead of JSON"),
        ("deep-json", "instead of JSON"),
        ("bomb", "sends more than max_json_bytes"),
        ("endless/3.jpg", "sends more than max_json_bytes"),
        ("status/404", "answers with status 404"),
        ("status/502", "answers with status 502"),
        ("garbage", "cannot be understood"),
        ("loop", "leads on more than 5 times"),
    ],
)
def test_what_is_not_json_is_told(museum: Museum, tmp_path: Path, path: str, words: str) -> None:
    settings = changed(retries=1, max_json_bytes=10**6)
    with visiting(tmp_path, settings) as visitor, pytest.raises(SourceError) as caught:
        visitor.web.json(museum.url(path), {"key": "hush"})
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


def test_the_cause_of_a_failure_can_be_asked_for(museum: Museum, visitor: Visitor) -> None:
    with pytest.raises(SourceError) as caught:
        visitor.web.json(museum.url("status/404"))
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.__cause__.status == 404


def test_apis_are_asked_from_many_threads(museum: Museum, visitor: Visitor) -> None:
    paths = [f"/json/{number}" for number in range(20)]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(visitor.web.json, [museum.url(path[1:]) for path in paths]))
    assert [answer["path"] for answer in answers] == paths


# ------------------------------------------------------------------------------------- asking again


def test_a_picture_that_is_the_same_need_not_be_sent_again(
    museum: Museum, visitor: Visitor
) -> None:
    def is_unchanged(path: str, etag: str) -> bool:
        asking = visitor.web.is_unchanged(museum.url(path), etag, "")
        return visitor.web.submit(asking).result(PATIENCE)

    etag = visitor.download(museum.url("picture/3.jpg")).etag
    assert is_unchanged("picture/3.jpg", etag)
    assert not is_unchanged("picture/4.jpg", etag)
    assert not is_unchanged("copy/3.jpg", etag)  # it does not say
    assert not is_unchanged("picture/3.jpg", "")
    with pytest.raises(Refused) as caught:
        is_unchanged("nowhere/3.jpg", etag)
    assert caught.value.status == 404


# ------------------------------------------------------------------------------------------ the end


def test_closing_cancels_what_is_under_way_and_leaves_no_file(
    museum: Museum, tmp_path: Path
) -> None:
    with visiting(tmp_path) as visitor:
        paths = ["half-silence/3.jpg", "drip/3.jpg", "silence/3.jpg"]
        downloads = [visitor.web.download(museum.url(path), tmp_path) for path in paths]
        futures = [visitor.web.submit(download) for download in downloads]
        wait_until(lambda: any(tmp_path.iterdir()))
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(PATIENCE)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_cancelled_leaves_no_file_and_frees_its_place(
    museum: Museum, tmp_path: Path
) -> None:
    with visiting(tmp_path, changed(concurrency=1)) as visitor:
        stuck = visitor.web.download(museum.url("half-silence/3.jpg"), tmp_path)
        download = visitor.web.submit(stuck)
        wait_until(lambda: any(tmp_path.iterdir()))
        download.cancel()
        assert visitor.download(museum.url("picture/4.jpg")).path.read_bytes() == picture(4)
        assert len(list(tmp_path.iterdir())) == 1
