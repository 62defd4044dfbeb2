"""Bing Images, as its pages are and as they may become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scraper.browser.driver import PageError
from scraper.browser.results_page import FINDING
from scraper.sources.bing import Bing
from tests.scraper.search_pages import BATCH, FULL, SearchPages, serve_search_pages
from tests.scraper.sources.search import QUERY, make, search


@pytest.fixture(scope="module")
def pages() -> Iterator[SearchPages]:
    with serve_search_pages() as server:
        yield server


@pytest.mark.parametrize("layout", ["classic+consent-fr", "renamed+consent-hi"])
def test_all_results_are_in_the_page_whatever_the_attribute_is_called(
    pages: SearchPages, tmp_path: Path, layout: str
):
    """Under a banner about cookies, loads on scrolling, and a button for the last results."""
    found = search(make(Bing, pages, layout, tmp_path), 40)
    expected = pages.results(QUERY)[:40]
    assert pages.choices[-1] == "refuse"
    assert [picture.url for picture in found] == [result.address for result in expected]
    assert [picture.page for picture in found] == [result.page for result in expected]
    assert [picture.title for picture in found] == [result.title for result in expected]
    assert {(picture.width, picture.height) for picture in found} == {FULL}
    assert {(picture.rights, picture.rights_url) for picture in found} == {("", "")}
    assert not pages.asked("/pictures/")


def test_without_that_attribute_the_addresses_of_the_viewers_tell(
    pages: SearchPages, tmp_path: Path
):
    """And the button for the last results, in an unknown language, is known by its place."""
    found = search(make(Bing, pages, "links", tmp_path), 40)
    assert [picture.url for picture in found] == [r.address for r in pages.results(QUERY)[:40]]
    assert {(picture.width, picture.height) for picture in found} == {FULL}


def test_without_those_addresses_thumbnails_are_clicked(pages: SearchPages, tmp_path: Path):
    found = search(make(Bing, pages, "overlay", tmp_path), 2)
    assert [picture.url for picture in found] == [r.address for r in pages.results(QUERY)[:2]]


def test_a_page_that_repeats_itself_ends_the_search(pages: SearchPages, tmp_path: Path):
    found = search(make(Bing, pages, "classic+endless", tmp_path), 1000)
    assert len(found) == BATCH
    assert pages.asked("endless/images/async") < 5


def test_no_results_are_no_error(pages: SearchPages, tmp_path: Path):
    assert search(make(Bing, pages, "classic", tmp_path), 5, "nothing at all") == []


def test_a_captcha_is_taken_for_an_answer(pages: SearchPages, tmp_path: Path):
    bing = make(Bing, pages, "classic+blocked", tmp_path)
    with pytest.raises(PageError, match=r"asks for proof of a human.*Leave it alone") as caught:
        search(bing, 5)
    assert caught.value.step == FINDING
    assert pages.asked("blocked/images/search") == 1
