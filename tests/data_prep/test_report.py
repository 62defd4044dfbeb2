"""The report as its reader meets it: one file, in Chromium, on a phone and on a desktop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.prepare import run_steps
from data_prep.report import REPORT_NAME
from data_prep.steps import find_step
from ideitify.decisions import Decision, append_decisions
from tests.browser import DESKTOP, PHONE, Browser, chromium
from tests.data_prep.publish.dataset import write_dataset
from tests.tiny import RED, picture

SPITEFUL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder with one of everything that a report can tell of, and its report."""
    folder = tmp_path_factory.mktemp("pictures")
    kept = [
        {"category": category, "source": source, "license": license}
        for category, source, license in [
            ("ganesha", "commons", "CC0-1.0"), ("ganesha", "museum", "CC-BY-4.0"),
            ("shiva", SPITEFUL, "CC-BY-NC-4.0"), ("none", "museum", "unknown"),
        ] * 3
    ]  # fmt: skip
    write_dataset(
        folder,
        *kept,
        {"status": "rejected", "reject_reason": "blurry", "is_blurry_issue": "true",
         "blurry_score": "0.1"},
        {"file_name": "images/shiva/copy.jpg", "category": "shiva", "status": "rejected",
         "reject_reason": "near duplicate of images/shiva/best.jpg",
         "duplicate_of": "images/shiva/best.jpg"},
        {"file_name": "images/shiva/best.jpg", "category": "shiva"},
        {"status": "review", "reject_reason": "label doubtful", "guesses": "hanuman 0.81"},
    )  # fmt: skip
    names = [f"images/shiva/{name}.jpg" for name in ("best", "copy")]
    append_decisions(folder, [
        Decision("2025-06-01T10:00:00.000Z", who, name, "keep", "shiva")
        for who in ("Asha", "Jonas") for name in names[:1]
    ])  # fmt: skip
    list(run_steps(folder, [find_step("decisions"), find_step("report")]))
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(picture(RED), tmp_path_factory.mktemp("camera")) as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser, folder: Path) -> Browser:
    browser.look(request.param)
    browser.driver.get((folder / REPORT_NAME).as_uri())
    browser.find("h1")
    return browser


def test_it_has_every_section(page: Browser) -> None:
    headings = [heading.text for heading in page.find_all("h2")]
    assert headings == [
        "Before and after", "Categories", "Sources and licences", "Issues", "Copies",
        "Label conflicts", "Agreement", "Sample sheets",
    ]  # fmt: skip
    assert [link.text for link in page.find_all("nav a")] == headings


def test_it_is_no_wider_than_the_screen(page: Browser) -> None:
    assert page.run("return document.documentElement.scrollWidth - innerWidth") == 0


def test_it_fetches_nothing_and_complains_of_nothing(page: Browser) -> None:
    fetched = page.run(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(name => !name.startsWith('data:'))"
    )
    assert fetched == []
    assert page.driver.get_log("browser") == []


def test_every_picture_is_there(page: Browser) -> None:
    for image in page.driver.find_elements("css selector", "figure img"):
        page.run("arguments[0].scrollIntoView()", image)
        page.wait(lambda image=image: page.run("return arguments[0].naturalWidth", image) > 0)
    assert len(page.driver.find_elements("css selector", "figure")) > 15


def test_charts_are_drawn_within_their_columns(page: Browser) -> None:
    charts = page.wait(lambda: page.driver.find_elements("css selector", ".js-plotly-plot"))
    assert len(charts) == 4
    for chart in charts:
        drawn, room = page.run(
            "return [arguments[0].querySelector('.main-svg').getBoundingClientRect().width,"
            " arguments[0].parentElement.getBoundingClientRect().width]",
            chart,
        )
        assert 0 < drawn <= room + 1


def test_text_from_sources_is_text(page: Browser, folder: Path) -> None:
    captions = [caption.text for caption in page.find_all("figcaption", SPITEFUL)]
    assert captions
    assert SPITEFUL not in (folder / REPORT_NAME).read_text(encoding="utf-8")


def test_numbers_are_those_of_the_folder(page: Browser) -> None:
    tiles = {
        tile.find_element("css selector", "dt").text: tile.find_element("css selector", "dd").text
        for tile in page.find_all(".tiles div")
    }
    assert tiles == {
        "pictures": "16", "kept": "13", "to review": "1", "categories": "3", "sources": "3",
        "open licence": "54%",
    }  # fmt: skip
    assert page.find("#reviewers + .charts", "Asha, Jonas").text.count("100%") == 1
    assert "hanuman 81%?" in page.find("#labels ~ .pictures figcaption").text


def test_a_picture_leads_to_its_source_and_tells_it_nothing(page: Browser) -> None:
    link = page.driver.find_element("css selector", "#sheets ~ section figure a")
    assert re.fullmatch(r"https://museum\.example/\d+", link.get_attribute("href"))
    assert link.get_attribute("rel") == "noreferrer"


def test_it_is_made_again_only_when_something_changed(folder: Path) -> None:
    step = find_step("report")
    (again,) = run_steps(folder, [step])
    assert again.reason == ""
    name = "images/shiva/best.jpg"
    append_decisions(folder, [Decision("2025-06-02T10:00:00.000Z", "Asha", name, "undo")])
    (again,) = run_steps(folder, [step])
    assert again.reason == "the files changed"


def test_a_folder_of_which_nothing_is_kept_yet_has_a_report(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"status": "review", "reject_reason": "no deity"})
    list(run_steps(tmp_path, [find_step("report")]))
    assert "0 kept" in (tmp_path / REPORT_NAME).read_text()
