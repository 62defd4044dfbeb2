"""The pictures as a map and as montages: one file, in Chromium, on a phone and on a desktop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep.explore import EXPLORE_NAME, ExploreSettings, evenly, explore, positions
from data_prep.table import read_table
from ideitify.dataset import write_rows
from tests.browser import DESKTOP, PHONE, Browser, chromium
from tests.tiny import BLUE, GREEN, RED, picture, write_bundle

pytestmark = pytest.mark.xdist_group("explore")  # one worker compiles UMAP for all
COLOURS = {"ganesha": RED, "shiva": GREEN, "krishna": BLUE}
EACH = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose colour is their category, one broken and one rejected; and their page."""
    folder = tmp_path_factory.mktemp("pictures")
    rows = []
    for category, colour in COLOURS.items():
        (folder / "images" / category).mkdir(parents=True)
        for number in range(EACH):
            name = f"images/{category}/{number}.png"
            tone = tuple(min(255, part + 5 * number) for part in colour)
            Image.new("RGB", (64, 64), tone).save(folder / name)
            rows.append({"file_name": name, "category": category, "status": "kept"})
    rows[0]["status"] = "review"
    rows.append({"file_name": "images/shiva/out.png", "category": "shiva", "status": "rejected"})
    rows.append({"file_name": "images/shiva/broken.png", "category": "shiva", "status": "kept"})
    (folder / "images/shiva/broken.png").write_bytes(b"no picture")
    write_rows(folder, rows)
    bundle = write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
    explore(read_table(folder), ExploreSettings(neighbours=5), bundle=str(bundle), workers=1)
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> dict:
    """What the page's script works on."""
    page = (folder / EXPLORE_NAME).read_text(encoding="utf-8")
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(content)


def test_pictures_that_look_alike_lie_together(data: dict) -> None:
    shown = [number for number, place in enumerate(data["places"]) if place]
    places = np.array([data["places"][number] for number in shown])
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    category = np.array([data["category"][number] for number in shown])
    assert (category == category[distance.argmin(axis=1)]).all()


def test_rejected_pictures_are_left_out_and_broken_ones_have_no_place(data: dict) -> None:
    assert len(data["files"]) == 3 * EACH + 1
    assert "images/shiva/out.png" not in data["files"]
    broken = data["files"].index("images/shiva/broken.png")
    assert data["places"][broken] is None
    assert data["thumbnails"][broken] == ""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(picture(RED), tmp_path_factory.mktemp("camera")) as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser, folder: Path) -> Browser:
    browser.look(request.param)
    browser.driver.get((folder / EXPLORE_NAME).as_uri())
    browser.wait(lambda: browser.driver.find_elements("css selector", "#map .point"))
    return browser


def test_it_fits_the_screen_and_fetches_nothing(page: Browser) -> None:
    assert page.run("return document.documentElement.scrollWidth - innerWidth") == 0
    fetched = page.run(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(name => !name.startsWith('data:'))"
    )
    assert fetched == []
    assert page.driver.get_log("browser") == []


def test_pointing_at_a_dot_shows_its_picture(page: Browser, data: dict) -> None:
    page.run("document.getElementById('alike').scrollIntoView()")
    dots = page.run(
        "return [...document.querySelectorAll('#map .point')].map(point => {"
        "  const box = point.getBoundingClientRect();"
        "  return [box.x + box.width / 2, box.y + box.height / 2];"
        "})"
    )
    mapped = [number for number, place in enumerate(data["places"]) if place]
    assert len(dots) == len(mapped) == 3 * EACH
    for category in range(3):
        x, y = dots[category * EACH]
        names = {  # dots that lie on one another cannot be told apart
            data["files"][number].split("/")[-1]
            for number, dot in zip(mapped, dots, strict=True)
            if data["category"][number] == category and np.hypot(dot[0] - x, dot[1] - y) < 12
        }
        for step in (40, 0):
            move = {"type": "mouseMoved", "x": x + step, "y": y}
            page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", move)
        words = page.find("#look p", data["names"][category]).text
        assert words.splitlines()[1].removesuffix(", in review") in names
        assert page.run("return document.querySelector('#look img').src") in data["thumbnails"]
        page.wait(lambda: page.run("return document.querySelector('#look img').naturalWidth") > 0)


def test_one_category_can_be_picked_out(page: Browser, data: dict) -> None:
    page.run(
        "const choice = document.getElementById('category');"
        "choice.value = [...choice.options].find(option => option.text.startsWith('Shiva')).value;"
        "choice.dispatchEvent(new Event('change'))"
    )
    colours = page.run("return document.getElementById('map').data[0].marker.color")
    assert sum(colour != "#ddd3c5" for colour in colours) == EACH


def test_each_category_has_its_montage(page: Browser) -> None:
    for slug, count in {"ganesha": EACH, "krishna": EACH, "shiva": EACH}.items():
        page.run("document.getElementById(arguments[0]).scrollIntoView()", slug)
        images = page.wait(
            lambda slug=slug: page.driver.find_elements("css selector", f"#{slug} .montage img")
        )
        assert len(images) == count
    assert len(page.driver.find_elements("css selector", "#ganesha img.review")) == 1


def test_a_folder_of_a_few_pictures_has_montages_but_no_map(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    picture(RED).save(tmp_path / "images/a.png")
    write_rows(tmp_path, [{"file_name": "images/a.png", "category": "ganesha", "status": "kept"}])
    explore(read_table(tmp_path), ExploreSettings(), bundle=str(tiny_bundle), workers=1)
    page = (tmp_path / EXPLORE_NAME).read_text(encoding="utf-8")
    assert "There are too few pictures for a map." in page
    assert 'data-category="0"' in page


def test_the_same_pictures_give_the_same_map() -> None:
    embeddings = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    first, again = (positions(embeddings, ExploreSettings()) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(positions(embeddings[:7], ExploreSettings())) == 0


@pytest.mark.parametrize(
    ("most", "sizes"),
    [
        (200, {"a": 100, "b": 10, "c": 3}),
        (40, {"a": 27, "b": 10, "c": 3}),
        (20, {"a": 8, "b": 8, "c": 3}),
        (5, {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_large_categories_are_thinned_out_first(most: int, sizes: dict[str, int]) -> None:
    categories = ["a"] * 100 + ["b"] * 10 + ["c"] * 3
    names = [f"{number:03}.jpg" for number in range(len(categories))]
    rows = evenly(pd.DataFrame({"category": categories}, index=names), most)
    assert rows["category"].value_counts().to_dict() == sizes
    assert len(rows) <= most
    assert list(rows.index) == sorted(rows.index)
