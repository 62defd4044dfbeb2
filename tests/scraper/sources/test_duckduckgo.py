"""DuckDuckGo's image search, as its pages are and as they may become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scraper.browser.driver import PageError
from scraper.browser.results_page import FINDING
from scraper.settings import ScraperSettings
from scraper.sources.duckduckgo import DuckDuckGo
from tests.scraper.search_pages import FULL, SearchPages, serve_search_pages
from tests.scraper.sources.search import QUERY, NoWeb, make, search


@pytest.fixture(scope="module")
def pages() -> Iterator[SearchPages]:
    with serve_search_pages() as server:
        yield server


def test_pictures_of_other_things_than_results_are_left_out():
    page = (
        '{"Abstract": {"image": "https://duck.example/i/logo.png", "url": "https://duck.example"}}'
    )
    assert not list(DuckDuckGo(NoWeb(), ScraperSettings()).hits_in_data(page))


@pytest.mark.parametrize("layout", ["classic", "embedded"])
def test_all_results_are_in_what_the_page_gets(pages: SearchPages, tmp_path: Path, layout: str):
    """By its own requests, or in its script; on scrolling, and by a button for the last ones."""
    found = search(make(DuckDuckGo, pages, layout, tmp_path), 40)
    expected = pages.results(QUERY)[:40]
    assert [picture.url for picture in found] == [result.address for result in expected]
    assert [picture.page for picture in found] == [result.page for result in expected]
    assert [picture.title for picture in found] == [result.title for result in expected]
    assert {(picture.width, picture.height) for picture in found} == {FULL}
    assert not pages.asked("/pictures/")


def test_where_that_cannot_be_read_thumbnails_are_clicked(pages: SearchPages, tmp_path: Path):
    found = search(make(DuckDuckGo, pages, "click", tmp_path), 2)
    expected = pages.results(QUERY)[:2]
    assert [picture.url for picture in found] == [result.address for result in expected]
    assert [picture.page for picture in found] == [result.page for result in expected]
    assert [picture.title for picture in found] == [result.title for result in expected]


def test_no_results_are_no_error(pages: SearchPages, tmp_path: Path):
    assert search(make(DuckDuckGo, pages, "classic", tmp_path), 5, "nothing at all") == []


def test_a_refused_request_for_results_is_taken_for_an_answer(pages: SearchPages, tmp_path: Path):
    duckduckgo = make(DuckDuckGo, pages, "classic+blocked", tmp_path, browser_seconds=2)
    with pytest.raises(PageError, match=r"status 403 for .*i\.js.*Leave it alone") as caught:
        search(duckduckgo, 5)
    assert caught.value.step == FINDING
    assert pages.asked("blocked/i.js") == 1
