"""Google Images, as its pages are and as they may become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.browser.driver import PageError
from scraper.browser.results_page import FINDING, LOADING, REVEALING
from scraper.settings import ScraperSettings
from scraper.source import Concept
from scraper.sources.google import Google
from tests.scraper.search_pages import BATCH, FULL, LICENSE_URL, SearchPages, serve_search_pages
from tests.scraper.sources.search import QUERY, NoWeb, make, search

THUMBNAIL = "https://encrypted-tbn0.gstatic.com/images?q=tbn:ANd9GcQaMC&s"
RECORD = [
    0, "Xy3_a-bCdEf", [THUMBNAIL, 183, 275],
    ["https://museum.example/ganesha.jpg?a=1&b=2", 1080, 1196], None, 0, "rgb(1,2,3)", None, 0,
    {
        "2000": [None, "museum.example", "68KB"],
        "2003": [None, "r3f", "https://museum.example/ganesha", 'The "dancing" Ganesha', None, 1],
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> Iterator[SearchPages]:
    with serve_search_pages() as server:
        yield server


@pytest.fixture
def google() -> Google:
    return Google(NoWeb(), ScraperSettings())


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("=", "\\u003d").replace("&", "\\u0026")


@pytest.mark.parametrize("times_encoded", [0, 1, 2])
def test_a_record_is_read_also_from_a_text_within_a_text(google: Google, times_encoded: int):
    text = compact({"k": RECORD})
    for _ in range(times_encoded):
        text = json.dumps(["<div>", text])
    [hit] = google.hits_in_data(f"(function(){{var m={text};var a=m;}})();")
    assert hit.address == "https://museum.example/ganesha.jpg?a=1&b=2"
    assert (hit.width, hit.height, hit.mark) == (1196, 1080, "Xy3_a-bCdEf")
    assert hit.page == "https://museum.example/ganesha"
    assert hit.title == 'The "dancing" Ganesha'


def test_a_record_with_other_keys_or_without_a_head_still_gives_the_picture(google: Google):
    details = {"a": ["x", "https://museum.example/page", "A title"]}
    [renamed] = google.hits_in_data(compact([*RECORD[:4], details]))
    assert (renamed.page, renamed.title) == ("https://museum.example/page", "A title")
    [headless] = google.hits_in_data(compact(["changed", RECORD[2], RECORD[3]]))
    assert headless.address == renamed.address


def test_a_licence_in_a_record_is_kept(google: Google):
    [hit] = google.hits_in_data(compact([*RECORD, {"2010": [None, LICENSE_URL]}]))
    assert hit.rights_url == LICENSE_URL


def test_two_pictures_in_a_row_that_are_no_thumbnail_and_original_are_no_record(google: Google):
    logo = ["https://museum.example/logo.png", 10, 10]
    assert not list(google.hits_in_data(compact([0, "abcdefgh", logo, logo])))


@given(st.text(alphabet='[]{}",\\0123456789ahtps:/?=q.tbn', max_size=400))
def test_whatever_a_script_contains_is_read_without_harm(text: str):
    list(Google(NoWeb(), ScraperSettings()).hits_in_data(compact(RECORD)[:60] + text))


def test_the_page_as_it_is_gives_all_without_opening_a_picture_but_for_its_licence(
    pages: SearchPages, tmp_path: Path
):
    """Past the question about cookies, loads on scrolling, and a button for the last results."""
    opened = pages.asked("/pictures/")
    found = search(make(Google, pages, "classic+consent-de", tmp_path), 1000)
    expected = pages.results(QUERY)
    assert pages.choices == ["refuse"]
    assert [picture.url for picture in found] == [result.address for result in expected]
    for picture, result in zip(found, expected, strict=True):
        assert (picture.source, picture.query) == ("google", QUERY)
        assert (picture.page, picture.title) == (result.page, result.title)
        assert (picture.width, picture.height) == FULL
        assert picture.rights_url == result.license
    assert len({picture.id for picture in found}) == len(expected)
    assert pages.asked("/pictures/") - opened == sum(bool(result.license) for result in expected)


@pytest.mark.parametrize("layout", ["renamed", "bare"])
def test_where_nothing_has_its_name_thumbnails_are_clicked(
    pages: SearchPages, tmp_path: Path, layout: str
):
    found = search(make(Google, pages, layout, tmp_path), 3)
    expected = pages.results(QUERY)[:3]
    assert [picture.url for picture in found] == [result.address for result in expected]
    assert [picture.page for picture in found] == [result.page for result in expected]
    assert [picture.title for picture in found] == [result.title for result in expected]
    assert [picture.rights_url for picture in found] == ["", LICENSE_URL, ""]
    assert found[1].creator == "A. Painter"


def test_each_phrase_gets_its_share_and_an_empty_one_leaves_it_to_the_next(
    pages: SearchPages, tmp_path: Path
):
    google = make(Google, pages, "classic", tmp_path)
    found = search(google, 8, "Ganesha", "nothing", "Ganapati")
    assert [picture.query for picture in found] == ["Ganesha"] * 3 + ["Ganapati"] * 5


@pytest.mark.parametrize(
    ("layout", "seconds", "step", "why"),
    [
        ("classic+blocked", 1, FINDING, "refuses automated searches (status 429"),
        ("drawn", 1, FINDING, "no picture was recognised within 1 s"),
        ("classic+consent-riddle", 1, FINDING, "a question about cookies stands before them"),
        ("mute", 2, REVEALING, "a click brought up no picture for 5 thumbnails in a row"),
    ],
)
def test_a_page_that_does_not_fit_is_reported_with_the_step_and_what_was_seen(
    pages: SearchPages, tmp_path: Path, layout: str, seconds: float, step: str, why: str
):
    google = make(Google, pages, layout, tmp_path / "reports", browser_seconds=seconds)
    with pytest.raises(PageError) as caught:
        search(google, 3)
    error = caught.value
    assert error.step == step
    assert why in str(error)
    assert error.screenshot
    assert error.html
    assert str(error.screenshot) in str(error)
    assert str(error.html) in str(error)
    assert error.screenshot.read_bytes().startswith(b"\x89PNG")
    assert "<html" in error.html.read_text(encoding="utf-8")


def test_what_was_found_before_the_site_refuses_stays_good(pages: SearchPages, tmp_path: Path):
    google = make(Google, pages, "classic+cut-off", tmp_path, browser_seconds=5)
    found = []
    with pytest.raises(PageError, match="status 429") as caught:  # noqa: PT012
        for picture in google.search(Concept("ganesha", "Ganesha", {"en": (QUERY,)}), 1000):
            found.append(picture)
    assert caught.value.step == LOADING
    assert len(found) == 2 * BATCH
