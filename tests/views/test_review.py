"""The review page as reviewers meet it: keys, pictures, decisions on disk, several people."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from streamlit.testing.v1 import AppTest

from ideitify.dataset import write_rows
from ideitify.decisions import (
    DECISIONS_NAME,
    REASONS,
    Decision,
    append_decisions,
    read_decisions,
    standing,
)
from ideitify.review import write_guesses
from ideitify.settings import settings
from tests.browser import DESKTOP, PHONE, PROJECT, Browser, chromium, serve
from tests.tiny import BLUE, GREEN, GREY, RED, VIOLET, picture
from tests.views.conftest import MAIN

PASSWORD = "open sesame"
SCREENSHOTS = PROJECT / "screenshots"
SIZES = {"phone": PHONE, "desktop": DESKTOP}
COLOURS = [RED, GREEN, BLUE, VIOLET, GREY]

browser_test = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review") / "data"


@pytest.fixture(scope="module")
def site(
    tiny_bundle: Path, site_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app with its review page."""
    options = {"IDEITIFY_REVIEW_FOLDER": str(site_folder), "IDEITIFY_REVIEW_PASSWORD": PASSWORD}
    with serve(tiny_bundle, tmp_path_factory.mktemp("site") / "log.txt", options) as address:
        yield f"{address}/review"


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(picture(RED), tmp_path_factory.mktemp("camera")) as browser:
        yield browser


@pytest.fixture
def folder(site_folder: Path) -> Path:
    """Five pictures in doubt, the first the most; 3 and 4 are copies; nobody has decided."""
    shutil.rmtree(site_folder, ignore_errors=True)
    fill(site_folder, 5, {3: {"duplicate_group": "x"}, 4: {"duplicate_group": "x"}})
    return site_folder


def fill(folder: Path, pictures: int, changes: dict[int, dict[str, str]] | None = None) -> None:
    """Write a dataset folder of drawn pictures whose doubt decreases."""
    (folder / "images" / "ganesha").mkdir(parents=True)
    rows = []
    for number in range(pictures):
        colours = COLOURS[number % 5], COLOURS[number // 5 % 5], COLOURS[number // 25 % 5]
        picture(*colours, side=300).save(folder / file_name(number))
        rows.append({
            "file_name": file_name(number), "category": "ganesha", "status": "review",
            "reject_reason": "labels: looks like another", "title": f"Statue <b>{number}</b>",
            "weak_probability": f"{number / pictures:.3f}",
            "guesses": write_guesses([("shiva", 0.6), ("krishna", 0.3)]),
            "uri": "https://example.org/statue",
        } | (changes or {}).get(number, {}))  # fmt: skip
    write_rows(folder, rows)


def file_name(number: int) -> str:
    return f"images/ganesha/{number:016d}.png"


def sign_in(browser: Browser, site: str, who: str = "Asha", password: str = PASSWORD) -> None:
    browser.open(site)
    browser.find("input[type=text]").send_keys(who)
    browser.find("input[type=password]").send_keys(password)
    browser.find("button", "Start").click()


def press(browser: Browser, *keys: str) -> None:
    """One key after the other, as fast as the page takes them."""
    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()


def shown(browser: Browser) -> str:
    """The file that waits for a key, once it is loaded; "end" after the last."""
    return browser.wait(
        lambda: browser.run("""
        const stage = document.querySelector(".desk-stage");
        if (stage?.querySelector(".desk-end")) return "end";
        const figure =
            stage?.querySelector("figure[aria-current]") ?? stage?.querySelector("figure");
        return figure?.querySelector("img").complete && figure.dataset.file;
    """)
    )


def wait_for(browser: Browser, number: int | None) -> None:
    """Wait until this picture waits for a key; None: until there is none left."""
    expected = "end" if number is None else file_name(number)
    browser.wait(lambda: shown(browser) == expected)


def outcomes(folder: Path, who: str = "Asha") -> dict[int, tuple[str, str]]:
    """What stands: number -> action and what it is about."""
    return {
        int(Path(name).stem): (said[who].action, said[who].category or said[who].reason)
        for name, said in standing(read_decisions(folder)).items()
        if who in said
    }


@browser_test
@pytest.mark.parametrize("size", SIZES)
def test_a_key_decides_and_the_next_picture_comes_when_it_is_on_disk(
    chrome: Browser, site: str, folder: Path, size: str
) -> None:
    chrome.look(SIZES[size])
    sign_in(chrome, site)
    assert shown(chrome) == file_name(0)
    assert chrome.find(".desk-ask").text == "Is this Ganesha?"
    assert "elephant head" in chrome.find(".desk-about").text
    press(chrome, "k")
    wait_for(chrome, 1)
    assert outcomes(folder) == {0: ("keep", "ganesha")}
    press(chrome, "2")  # the second suggestion
    wait_for(chrome, 2)
    assert outcomes(folder)[1] == ("relabel", "krishna")
    press(chrome, "s")
    wait_for(chrome, 3)
    assert outcomes(folder)[2] == ("skip", "")
    assert "2 left, 3 decided" in chrome.find(".desk-count").text
    assert chrome.overflow() <= 0


@browser_test
def test_a_rejection_has_its_reason_and_streamlit_s_own_key_stays_out_of_it(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    press(chrome, "r")
    assert chrome.find("dialog h2").text == "Reject, because it is …"
    press(chrome, Keys.ESCAPE)
    assert outcomes(folder) == {}
    press(chrome, "r", "3")
    wait_for(chrome, 1)
    assert outcomes(folder) == {0: ("reject", REASONS[2])}


@browser_test
@pytest.mark.parametrize("typed", ["shiv", "शिव", "durga"])
def test_another_name_is_found_in_any_script(
    chrome: Browser, site: str, folder: Path, typed: str
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    press(chrome, "l", typed, Keys.ENTER)
    wait_for(chrome, 1)
    expected = "durga" if typed == "durga" else "shiva"
    assert outcomes(folder) == {0: ("relabel", expected)}


@browser_test
def test_undo_takes_back_one_stroke_after_the_other_even_after_a_reload(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    press(chrome, "k")
    wait_for(chrome, 1)
    press(chrome, "k")
    wait_for(chrome, 2)
    press(chrome, "u")
    wait_for(chrome, 1)
    assert outcomes(folder) == {0: ("keep", "ganesha")}
    sign_in(chrome, site)
    wait_for(chrome, 1)
    press(chrome, "u")
    wait_for(chrome, 0)
    assert outcomes(folder) == {}
    assert [made.action for made in read_decisions(folder)] == ["keep", "keep", "undo", "undo"]


@browser_test
@pytest.mark.parametrize("size", SIZES)
def test_copies_stand_side_by_side_and_one_key_keeps_the_best(
    chrome: Browser, site: str, folder: Path, size: str
) -> None:
    append_decisions(
        folder, [Decision("", "Asha", file_name(n), "keep", "ganesha") for n in range(3)]
    )
    chrome.look(SIZES[size])
    sign_in(chrome, site)
    wait_for(chrome, 3)
    figures = chrome.find_all(".desk-stage figure")
    assert len(figures) == 2
    assert figures[0].rect["y"] == figures[1].rect["y"]
    chrome.save_screenshot(SCREENSHOTS / f"review-copies-{size}.png")
    assert chrome.overflow() <= 0
    figures[1].click()
    wait_for(chrome, 4)
    chrome.find("button", "Best").click()
    wait_for(chrome, None)
    assert outcomes(folder)[4] == ("keep", "ganesha")
    assert outcomes(folder)[3] == ("reject", "duplicate")
    press(chrome, "u")
    wait_for(chrome, 3)
    assert set(outcomes(folder)) == {0, 1, 2}


@browser_test
def test_what_cannot_be_written_is_said_and_the_picture_stays(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    assert shown(chrome) == file_name(0)
    (folder / DECISIONS_NAME).mkdir()
    press(chrome, "k")
    assert "Not saved. The decision cannot be written" in chrome.find(".desk-alert").text
    assert shown(chrome) == file_name(0)
    (folder / DECISIONS_NAME).rmdir()
    press(chrome, "k")
    wait_for(chrome, 1)
    assert not chrome.find_all(".desk-alert")
    assert outcomes(folder) == {0: ("keep", "ganesha")}


@browser_test
def test_the_next_pictures_are_there_before_they_are_asked_for(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    for number in range(1, 5):
        chrome.wait(lambda number=number: any(
            f"{number:016d}.png" in name and name.endswith("side=1024")
            for name in chrome.run(loaded)
        ))  # fmt: skip
    before = len(chrome.run(loaded))
    press(chrome, "k")
    wait_for(chrome, 1)
    fetched = chrome.run(loaded)[before:]
    assert not [name for name in fetched if name.endswith("side=1024")]


@browser_test
def test_the_grid_is_in_order_of_doubt_and_leads_to_each_picture(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    cells = chrome.find_all(".desk-grid li")
    files = [cell.get_attribute("data-file") for cell in cells]
    assert files == [file_name(number) for number in range(5)]
    cells[2].find_element(By.TAG_NAME, "button").click()
    wait_for(chrome, 2)
    press(chrome, "k")
    wait_for(chrome, 3)
    marks = [cell.find_element(By.TAG_NAME, "button").get_attribute("data-mark") for cell in cells]
    assert marks == ["", "", "✓", "", ""]


@browser_test
def test_two_reviewers_keep_their_names_and_see_how_far_they_agree(
    chrome: Browser, site: str, folder: Path
) -> None:
    chrome.look(DESKTOP)
    for who, keys in (("Asha", "kkk"), ("  ravi  p ", "kk1"), ("Ravi P", "")):
        sign_in(chrome, site, who)
        for number, key in enumerate(keys):
            wait_for(chrome, number)
            press(chrome, key)
        wait_for(chrome, 3)
    assert {made.who for made in read_decisions(folder)} == {"Asha", "ravi p"}
    assert outcomes(folder, "ravi p")[2] == ("relabel", "shiva")
    chrome.find("button", "Reviewers").click()
    row = chrome.find("tr", "Asha, ravi p").text
    assert row.removeprefix("Asha, ravi p").split() == ["3", "67", "%", "0.00"]


@browser_test
def test_what_others_decided_can_be_left_out(chrome: Browser, site: str, folder: Path) -> None:
    append_decisions(folder, [Decision("", "Ravi", file_name(0), "keep", "ganesha")])
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    assert shown(chrome) == file_name(0)
    chrome.find("button", "Choose").click()
    chrome.find("[data-testid=stCheckbox] label").click()
    wait_for(chrome, 1)


@browser_test
def test_a_picture_that_cannot_be_shown_can_still_be_decided(
    chrome: Browser, site: str, folder: Path
) -> None:
    (folder / file_name(901)).write_bytes(b"<html>no picture</html>")  # and 902 does not exist
    row = {"category": "ganesha", "status": "review"}
    write_rows(folder, [row | {"file_name": file_name(number)} for number in (901, 902)])
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    for number in (901, 902):
        chrome.find(f"[data-file='{file_name(number)}']:has(.desk-missing)")
        press(chrome, "r", "3")
    wait_for(chrome, None)
    assert outcomes(folder) == dict.fromkeys((901, 902), ("reject", REASONS[2]))


@browser_test
def test_harvested_text_stays_text(chrome: Browser, site: str, folder: Path) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    assert "Statue <b>0</b>" in chrome.find(".desk-about dl").text


@browser_test
def test_more_pictures_come_before_the_first_run_out(
    chrome: Browser, site: str, site_folder: Path
) -> None:
    shutil.rmtree(site_folder, ignore_errors=True)
    fill(site_folder, 205)
    chrome.look(DESKTOP)
    sign_in(chrome, site)
    shown(chrome)
    assert "205 left" in chrome.find(".desk-count").text
    keep_all = """
    const shown = () => document.querySelector(".desk-stage > *");
    const done = arguments[0];
    (async () => {
      while (!shown().textContent.includes("the last one")) {
        const before = shown();
        if (before.dataset.file) window.dispatchEvent(new KeyboardEvent("keydown", {key: "k"}));
        while (shown() === before) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      done();
    })()"""
    chrome.driver.set_script_timeout(300)
    chrome.driver.execute_async_script(keep_all)
    assert "0 left, 205 decided" in chrome.find(".desk-count").text
    assert len(outcomes(site_folder)) == 205


@browser_test
def test_the_wrong_password_opens_nothing(chrome: Browser, site: str, folder: Path) -> None:
    chrome.look(DESKTOP)
    sign_in(chrome, site, password="guess")
    assert chrome.find("[data-testid=stAlert]", "not the password")
    assert not chrome.find_all(".desk")
    sign_in(chrome, site, who="  ")
    assert chrome.find("[data-testid=stAlert]", "Give your name")


@browser_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_is_named_for_screen_readers(
    chrome: Browser, site: str, folder: Path, size: str, scheme: str
) -> None:
    chrome.look(SIZES[size], scheme)
    sign_in(chrome, site)
    shown(chrome)
    chrome.settle()
    chrome.save_screenshot(SCREENSHOTS / f"review-{size}-{scheme}.png")
    assert chrome.overflow() <= 0
    assert chrome.driver.title == "Review · Ideitify"
    assert len(chrome.find_all("h1")) == 1
    for control in chrome.find_all("a, button, input, select, textarea, img"):
        assert control.accessible_name, control.get_attribute("outerHTML")
    keys = chrome.find(".desk-keys").rect
    assert keys["y"] + keys["height"] <= SIZES[size][1]  # at hand without scrolling


@pytest.fixture
def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page in Streamlit's own harness, without a password."""
    monkeypatch.setenv("IDEITIFY_REVIEW_FOLDER", str(folder))
    settings.cache_clear()
    yield AppTest.from_file(MAIN, default_timeout=30)
    monkeypatch.undo()
    settings.cache_clear()


def test_without_a_password_the_page_stays_shut(page: AppTest) -> None:
    page.run().switch_page("review.py").run()
    assert "IDEITIFY_REVIEW_PASSWORD" in page.warning[0].value
    assert not page.text_input


def test_alone_it_asks_for_a_name_only_and_shows_no_other_page(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEITIFY_REVIEW_ALONE", "true")
    page.run()
    assert [field.label for field in page.text_input] == ["Your name"]
    assert not page.get("page_link")


def test_a_damaged_folder_is_said(
    page: AppTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEITIFY_REVIEW_ALONE", "true")
    (folder / DECISIONS_NAME).write_text("nonsense\n")
    page.run().text_input[0].set_value("Asha")
    page.button[0].click().run()
    assert "must begin with the line" in page.error[0].value.replace("\\", "")
