"""The review page: from a key to the next picture on the screen, in a real browser.

    python -m benchmarks.review
    python -m benchmarks.review --data ../shared/deities

Serves `python -m streamlit run app.py` on a free port of this machine with a dataset folder full of
doubtful pictures (drawn, or those of `--data`), signs in with headless Chromium and presses K. The
time is the browser's own: from the key's event to the frame in which the next picture was painted
(Element Timing). Every decision is checked to be in `decisions.csv` by then.
"""

from __future__ import annotations

import csv
import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from selenium.webdriver.common.action_chains import ActionChains

from benchmarks import run_command
from benchmarks.recognition import BUNDLE, photo
from ideitify.dataset import read_rows, write_rows
from ideitify.decisions import DECISIONS_NAME
from tests.browser import DESKTOP, PHONE, Browser, chromium, serve

AIM = 200  # ms

# Marks every picture that comes onto the stage, before it is painted, and notes when it was.
OBSERVE = """
window.painted = [];
window.pressed = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.painted.push([entry.identifier, entry.renderTime]);
}).observe({type: "element"});
new MutationObserver(() => {
  for (const figure of document.querySelectorAll(".desk-stage figure")) {
    figure.querySelector("img")?.setAttribute("elementtiming", figure.dataset.file);
  }
}).observe(document, {childList: true, subtree: true});
window.addEventListener("keydown", (event) => window.pressed.push(event.timeStamp), true);
"""


def draw(folder: Path, pictures: int) -> None:
    """A dataset folder of 2-megapixel pictures."""
    (folder / "images" / "ganesha").mkdir(parents=True)
    for number in range(pictures):
        photo(2, number).save(folder / f"images/ganesha/{number:016x}.jpg", quality=90)
    names = [f"images/ganesha/{number:016x}.jpg" for number in range(pictures)]
    write_rows(folder, [{"file_name": n, "category": "ganesha", "status": "review"} for n in names])


def borrow(folder: Path, data: Path, pictures: int) -> None:
    """A dataset folder that shows pictures of another one, chosen at random."""
    (folder / "images").symlink_to((data / "images").resolve())
    rows = random.Random(0).sample(read_rows(data), pictures)
    write_rows(folder, [{**row, "status": "review", "group": ""} for row in rows])


def sign_in(browser: Browser, address: str) -> None:
    """Open the page anew and wait until the first picture stands."""
    with browser.before_each_page(OBSERVE):
        browser.open(address)
    browser.find("input[type=text]").send_keys("Benchmark")
    browser.find("button", "Start").click()
    browser.find(".desk-stage img")
    browser.settle()
    time.sleep(1)


def decided(folder: Path) -> int:
    """Lines of the file of decisions."""
    with (folder / DECISIONS_NAME).open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def press(browser: Browser, folder: Path, key: str) -> float:
    """Milliseconds from a key to the next picture painted; its decision is on disk by then."""
    painted = browser.run("return window.painted.length")
    before = decided(folder) if (folder / DECISIONS_NAME).exists() else 0
    ActionChains(browser.driver).send_keys(key).perform()
    browser.wait(lambda: browser.run("return window.painted.length") > painted)
    if decided(folder) != before + 1:
        raise RuntimeError("the page moved on without its decision on disk")
    shown, when = browser.run("return window.painted.at(-1)")
    if shown != browser.run("return document.querySelector('.desk-stage figure').dataset.file"):
        raise RuntimeError("another picture was painted than the one on the stage")
    return when - browser.run("return window.pressed.at(-1)")


def report(name: str, milliseconds: list[float]) -> None:
    """Print the distribution."""
    median, late = np.percentile(milliseconds, [50, 95])
    print(
        f"{name}: median {median:.0f} ms, p95 {late:.0f} ms, slowest {max(milliseconds):.0f} ms "
        f"of {len(milliseconds)} (aim: {AIM} ms or less)"
    )


def main(
    data: Annotated[Path | None, typer.Option(help="dataset folder to borrow from")] = None,
    keys: Annotated[int, typer.Option(help="presses per screen size")] = 60,
    pause: Annotated[float, typer.Option(help="seconds between keys, to look")] = 0.3,
) -> None:
    """Print the time from a key to the next picture."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        folder.mkdir()
        draw(folder, 3 * keys) if data is None else borrow(folder, data, 3 * keys)
        options = {"IDEITIFY_REVIEW_FOLDER": str(folder), "IDEITIFY_REVIEW_ALONE": "true"}
        with (
            serve(BUNDLE, Path(scratch) / "log", options) as address,
            chromium(photo(0.1, 0), Path(scratch)) as browser,
        ):
            for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
                browser.look(size)
                sign_in(browser, address)
                milliseconds = []
                for _ in range(keys):
                    milliseconds.append(press(browser, folder, "k"))
                    time.sleep(pause)
                report(f"key to next picture, {name}", milliseconds)


if __name__ == "__main__":
    run_command(main)
