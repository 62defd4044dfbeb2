"""Hosts are asked at their pace and left alone when they wish, and so are those who opt out."""

from __future__ import annotations

from pathlib import Path

import pytest

from scraper.web.refusal import Refused
from tests.scraper.museum import Museum, Request, picture
from tests.scraper.visitor import PATIENCE, Visitor, changed, kept, visiting
from tests.waiting import wait_until


def seconds_for(requests: list[Request]) -> float:
    """From the first to the last of them, as the museum saw them come."""
    return requests[-1].time - requests[0].time


def test_each_host_is_asked_at_its_own_pace(museum: Museum, tmp_path: Path) -> None:
    hosts = ["127.0.0.1", "localhost"]
    urls = [museum.url(f"picture/{n}.jpg", host) for host in hosts for n in range(4)]
    with visiting(tmp_path, changed(host_delay=0.3)) as visitor:
        visitor.download_all(urls)
    asked = {
        host: [request for request in museum.requests if request.headers["host"].startswith(host)]
        for host in hosts
    }
    for requests in asked.values():
        assert len(requests) == 5  # robots.txt first
        assert seconds_for(requests) > 0.9  # four pauses, but for what the machine adds or takes
    assert asked["localhost"][0].time < asked["127.0.0.1"][-1].time  # neither waits for the other
    assert visitor.told("delayed") == ["0.3 s between requests, any number at a time"] * 2


def test_no_more_than_allowed_are_at_one_host_at_a_time(museum: Museum, tmp_path: Path) -> None:
    museum.latency = 0.05
    with visiting(tmp_path, changed(host_concurrency=3)) as visitor:
        visitor.download_all(museum.urls())
    assert museum.most_visitors == 3


def test_redirects_keep_the_pace_too(museum: Museum, tmp_path: Path) -> None:
    with visiting(tmp_path, changed(host_delay=0.3)) as visitor:
        visitor.download(museum.url("chain/3/3.jpg"))
    assert len(museum.requests) == 5
    assert seconds_for(museum.requests) > 0.9


def test_whoever_is_not_kept_waiting_is_not_told_of_delays(
    museum: Museum, visitor: Visitor
) -> None:
    visitor.download_all(museum.urls())
    assert visitor.events == []


@pytest.mark.parametrize("path", ["busy-seconds/3.jpg", "busy-date/3.jpg"])
def test_a_host_is_left_alone_as_long_as_it_asks(
    museum: Museum, visitor: Visitor, path: str
) -> None:
    download = visitor.web.submit(visitor.web.download(museum.url(path), visitor.folder))
    wait_until(lambda: visitor.told("retry_after"))
    visitor.download(museum.url("picture/4.jpg"))
    assert kept(download.result(PATIENCE)).path.read_bytes() == picture(3)
    busy, *later = museum.requests[1:]
    assert busy.path == f"/{path}"
    assert {request.path for request in later} == {f"/{path}", "/picture/4.jpg"}
    assert seconds_for([busy, later[0]]) > 0.9  # the date is one to two seconds away
    assert len(visitor.told("retry_after")) == 1


def test_a_host_that_is_closed_for_long_is_left_for_another_run(
    museum: Museum, visitor: Visitor
) -> None:
    error = visitor.refusal(museum.url("closed/3.jpg"))
    assert (error.reason, error.retry_later) == ("rate_limited", True)
    assert visitor.told("retry_after") == ["86400 s, with status 503"]
    assert visitor.refusal(museum.url("picture/4.jpg")).reason == "rate_limited"
    assert museum.counts() == {"/robots.txt": 1, "/closed/3.jpg": 1}


def test_every_request_says_who_asks(museum: Museum, tmp_path: Path) -> None:
    with visiting(tmp_path, changed(contact="me@example.org")) as visitor:
        visitor.download(museum.url("picture/3.jpg"))
        visitor.web.json(museum.url("json"))
    assert len(museum.requests) == 3
    assert all("me@example.org" in request.headers["user-agent"] for request in museum.requests)
    picture_request = museum.requests[1].headers
    assert picture_request.keys() == {"host", "user-agent", "accept", "accept-encoding"}


ROBOTS = """
User-agent: otherbot
Disallow: /

User-agent: *
Disallow: /picture/private/
Disallow: /*.png$
Allow: /picture/private/open/
"""


@pytest.mark.parametrize("path", ["picture/3.jpg", "picture/private/open/3.jpg"])
def test_what_robots_txt_allows_is_fetched(museum: Museum, visitor: Visitor, path: str) -> None:
    museum.robots = ROBOTS
    assert visitor.download(museum.url(path)).path.read_bytes() == picture(3)


@pytest.mark.parametrize(
    "path", ["picture/private/3.jpg", "picture/%70rivate/3.jpg", "picture/a/3.png"]
)
def test_what_robots_txt_disallows_is_not(museum: Museum, visitor: Visitor, path: str) -> None:
    museum.robots = ROBOTS
    for url in (museum.url(path), museum.redirect(museum.url(path))):
        error = visitor.refusal(url)
        assert (error.reason, error.retry_later) == ("robots", False)
    assert museum.count(path) == 0
    assert len(visitor.told("robots_disallowed")) == 2


def test_robots_txt_may_speak_to_us_by_name(museum: Museum, visitor: Visitor) -> None:
    museum.robots = "User-agent: *\nDisallow:\n\nUser-agent: ideitify\nDisallow: /\n"
    assert visitor.refusal(museum.url("picture/3.jpg")).reason == "robots"


def test_robots_txt_is_read_once_for_all(museum: Museum, visitor: Visitor) -> None:
    museum.robots = ROBOTS
    visitor.download_all(museum.urls())
    assert museum.count("robots.txt") == 1


@pytest.mark.parametrize("status", [404, 403, 401, 410])
def test_a_site_without_robots_txt_allows_everything(
    museum: Museum, visitor: Visitor, status: int
) -> None:
    museum.robots = status
    assert visitor.download(museum.url("picture/3.jpg")).size


def test_a_site_whose_robots_txt_fails_is_left_for_another_run(
    museum: Museum, tmp_path: Path
) -> None:
    museum.robots = 500
    with visiting(tmp_path, changed(retries=1)) as visitor:
        errors = [visitor.refusal(url) for url in museum.urls()]
    assert {(error.reason, error.retry_later) for error in errors} == {("robots", True)}
    assert museum.counts() == {"/robots.txt": 2}  # tried twice, for all of them
    assert len(visitor.told("robots_unreadable")) == 1


def test_of_an_enormous_robots_txt_the_beginning_counts(museum: Museum, visitor: Visitor) -> None:
    museum.robots = ROBOTS + "# and so on\n" * 10**5 + "User-agent: ideitify\nDisallow: /\n"
    assert visitor.download(museum.url("picture/3.jpg")).path.read_bytes() == picture(3)
    with pytest.raises(Refused):
        visitor.download(museum.url("picture/private/3.jpg"))


def test_a_crawl_delay_slows_us_down(museum: Museum, visitor: Visitor) -> None:
    museum.robots = "User-agent: *\nCrawl-delay: 0.3\n"
    visitor.download_all(museum.urls()[:5])
    assert seconds_for(museum.requests[1:]) > 0.9
    assert visitor.told("crawl_delay") == ["0.3 s between requests"]


def test_a_crawl_delay_beyond_our_patience_gives_one_picture_a_run(
    museum: Museum, visitor: Visitor
) -> None:
    museum.robots = "User-agent: *\nCrawl-delay: 3600\n"
    visitor.download(museum.url("picture/1.jpg")).discard()
    for url in museum.urls()[2:5]:
        error = visitor.refusal(url)
        assert (error.reason, error.retry) == ("rate_limited", "later")
    assert museum.counts() == {"/robots.txt": 1, "/picture/1.jpg": 1}


def test_robots_txt_of_the_host_that_a_redirect_leads_to_counts(
    museum: Museum, visitor: Visitor
) -> None:
    with Museum() as other:
        other.robots = "User-agent: *\nDisallow: /\n"
        error = visitor.refusal(museum.redirect(other.url("picture/3.jpg")))
        assert (error.reason, error.host) == ("robots", f"127.0.0.1:{other.port}")
        assert other.counts() == {"/robots.txt": 1}


def test_apis_are_asked_though_robots_txt_speaks_to_crawlers(
    museum: Museum, visitor: Visitor
) -> None:
    museum.robots = "User-agent: *\nDisallow: /\n"
    assert visitor.web.json(museum.url("json"))["path"] == "/json"
    assert museum.count("robots.txt") == 0


def test_opt_outs_are_told(museum: Museum, visitor: Visitor) -> None:
    visitor.refusal(museum.url("noai/3.jpg"))
    visitor.refusal(museum.url("reserved/3.jpg"))
    assert visitor.told("opted_out") == [
        "X-Robots-Tag: noai at /noai/3.jpg", "TDM-Reservation: 1 at /reserved/3.jpg",
    ]  # fmt: skip
    assert {event.host for event in visitor.events} == {f"127.0.0.1:{museum.port}"}
