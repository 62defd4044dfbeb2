"""The browser itself: that it starts or says why not, keeps its pace, and reports what it saw."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from scraper.browser.driver import PageError, PageProblem, open_browser
from scraper.settings import ScraperSettings
from scraper.source import SourceError
from tests.scraper.search_pages import SearchPages, serve_search_pages


@pytest.fixture(scope="module")
def pages() -> Iterator[SearchPages]:
    with serve_search_pages() as server:
        yield server


def settings(folder: Path, **options: Any) -> ScraperSettings:
    return ScraperSettings(**{"host_delay": 0, "browser_reports": folder, **options})


def test_a_browser_that_cannot_start_is_an_error_that_says_what_to_do(tmp_path: Path):
    missing = settings(tmp_path, browser_binary=str(tmp_path / "no-chromium"))
    with (
        pytest.raises(SourceError, match=r"google needs a browser.*SCRAPER_BROWSER_BINARY"),
        open_browser("google", missing),
    ):
        pass


def test_a_browser_to_be_shown_needs_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with (
        pytest.raises(SourceError, match="--show-browser needs a screen"),
        open_browser("google", settings(tmp_path, show_browser=True)),
    ):
        pass


def test_a_problem_names_its_step_and_the_files_that_show_what_was_seen(
    pages: SearchPages, tmp_path: Path
):
    with open_browser("google", settings(tmp_path / "new" / "folder")) as browser:
        browser.open(pages.base_url("google", "classic/sorry"))
        with pytest.raises(PageError) as caught, browser.step("looking around"):
            raise PageProblem("there is nothing", "Go home.")
    error = caught.value
    assert error.step == "looking around"
    assert "google cannot go on: looking around failed, because there is nothing. Go home." in str(
        error
    )
    assert error.screenshot
    assert error.html
    assert sorted((tmp_path / "new" / "folder").iterdir()) == sorted([error.html, error.screenshot])
    assert "unusual traffic" in error.html.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_does_not_hide_the_problem(
    pages: SearchPages, tmp_path: Path
):
    (tmp_path / "file").write_text("in the way")
    with open_browser("google", settings(tmp_path / "file")) as browser:
        browser.open(pages.base_url("google", "classic/sorry"))
        with pytest.raises(PageError, match="there is nothing") as caught, browser.step("looking"):
            raise PageProblem("there is nothing", "Go home.")
    assert caught.value.html is None


def test_a_site_that_cannot_be_reached_is_named(tmp_path: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with (
            pytest.raises(PageError, match=r"127\.0\.0\.1 cannot be reached \(ERR_"),
            open_browser("bing", settings(tmp_path)) as browser,
            browser.step("opening the page"),
        ):
            browser.open(address)


def test_a_browser_that_dies_is_an_error_of_its_step(pages: SearchPages, tmp_path: Path):
    with open_browser("bing", settings(tmp_path)) as browser:
        browser.open(pages.base_url("google", "classic/sorry"))
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # the others follow the first that ends
                if "chrom" in child.name():
                    child.kill()
        with pytest.raises(PageError) as caught, browser.step("looking around"):
            browser.facts()
    assert caught.value.step == "looking around"
    assert caught.value.html is None


def test_gestures_keep_the_pause_between_requests_to_one_host(pages: SearchPages, tmp_path: Path):
    address = pages.base_url("google", "classic/sorry")
    with open_browser("google", settings(tmp_path, host_delay=1.5)) as browser:
        for _ in range(3):
            browser.open(address)
    times = [time for time, path in pages.log if path.endswith("/sorry")][-3:]
    assert all(later - sooner >= 0.4 for sooner, later in pairwise(times))


def test_the_page_is_asked_for_in_english_and_by_a_robot_that_says_so(
    pages: SearchPages, tmp_path: Path
):
    with open_browser("google", settings(tmp_path)) as browser:
        browser.open(pages.base_url("google", "classic/sorry"))
    assert pages.headers["Accept-Language"].startswith("en")
    assert "Headless" in pages.headers["User-Agent"]
