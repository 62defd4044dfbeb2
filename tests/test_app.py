"""End to end: the real server, a real browser, a camera that sees a drawn picture."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ideitify import Recognizer
from tests.browser import DESKTOP, PHONE, PROJECT, SIDEWAYS, Browser, chromium, serve
from tests.tiny import BLUE, GREY, RED, VIOLET, picture
from views import words

pytestmark = pytest.mark.xdist_group("browser")

SCREENSHOTS = PROJECT / "screenshots"
SHIPPED = PROJECT / "models" / "default"
DRAWING = PROJECT / "tests" / "pictures" / "ganesha.jpg"  # a print, drawn for the project
SIZES = {"phone": PHONE, "desktop": DESKTOP}
PAGES = {"snap": "", "explore": "explore", "ganesha": "explore?deity=ganesha", "about": "about"}


@pytest.fixture(scope="module")
def site(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running app, with a model whose answers are known."""
    with serve(tiny_bundle, tmp_path_factory.mktemp("site") / "log.txt") as address:
        yield address


@pytest.fixture(scope="module")
def shipped_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running app, with the model that ships."""
    with serve(SHIPPED, tmp_path_factory.mktemp("shipped") / "log.txt") as address:
        yield address


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(picture(RED, side=640), tmp_path_factory.mktemp("camera")) as browser:
        yield browser


@pytest.fixture(params=SIZES)
def browser(chrome: Browser, request: pytest.FixtureRequest) -> Browser:
    """The browser at either size."""
    chrome.look(SIZES[request.param])
    return chrome


@pytest.fixture
def photo(tmp_path: Path):
    """A function that writes a photo of stripes of colours."""

    def write(*colours: tuple[int, int, int]) -> Path:
        path = tmp_path / "गणेश photo.png"
        picture(*colours, side=640).save(path)
        return path

    return write


def shares(browser: Browser) -> dict[str, str]:
    """The bars of the candidates: name and share."""
    rows = [row.text.split("\n") for row in browser.find_all("[class*='st-key-bar-']")]
    return dict(rows)


def heading(browser: Browser, text: str) -> None:
    """Wait until the page with this heading stands."""
    browser.wait(lambda: browser.find("h1").text == text)
    browser.settle()


def scrolled(browser: Browser) -> float:
    """How many pixels of the page are above the screen."""
    return browser.run("return document.querySelector('[data-testid=stMain]').scrollTop")


def test_a_snap_is_answered(browser: Browser, site: str) -> None:
    browser.open(site)
    take = browser.wait(lambda: browser.find_all("button:enabled", "Take Photo"))[0]
    take.send_keys(Keys.ENTER)  # the keyboard does it, too
    assert browser.find("h1", "looks like").text == "This looks like Ganesha"
    browser.settle()
    assert shares(browser)["Ganesha"] == "over 99 %"
    assert browser.find("img[alt='Your photo']")
    assert browser.find("h3", "What to look for")
    assert browser.overflow() <= 0


def test_an_upload_is_answered(browser: Browser, site: str, photo) -> None:
    browser.open(site)
    browser.upload(photo(BLUE))
    assert browser.find("h1", "looks like").text == "This looks like Krishna"
    browser.settle()
    assert shares(browser)["Krishna"] == "over 99 %"
    assert browser.overflow() <= 0


@pytest.mark.parametrize(
    ("colours", "said"),
    [((VIOLET,), r"Could be (Ganesha or Krishna|Krishna or Ganesha)"), ((GREY,), "I see no deity")],
)
def test_doubt_and_nobody_are_answered(
    browser: Browser, site: str, photo, colours: tuple, said: str
) -> None:
    browser.open(site)
    browser.upload(photo(*colours))
    browser.wait(lambda: re.match(said, browser.find("h1").text))
    browser.settle()
    assert browser.overflow() <= 0


def test_names_beside_the_bars_are_readable(chrome: Browser, site: str, photo) -> None:
    chrome.look(PHONE)
    chrome.open(site)
    chrome.upload(photo(RED))
    chrome.find("h1", "looks like")
    chrome.settle()
    names = chrome.find_all("[class*='st-key-bar-'] a p")
    assert len(names) == 3  # all that this model knows
    for name in names:
        clipped = chrome.run("return arguments[0].scrollWidth > arguments[0].clientWidth", name)
        assert not clipped
        assert name.rect["x"] >= 0
        assert name.rect["x"] + name.rect["width"] <= PHONE[0]


def test_the_heat_map_is_a_toggle(browser: Browser, site: str, photo) -> None:
    browser.open(site)
    browser.upload(photo(RED, BLUE))
    browser.find("img[alt='Your photo']")
    browser.settle()
    toggle = browser.find("[data-testid=stCheckbox]", "Show where the model looked")
    switch = toggle.find_element(By.TAG_NAME, "input")
    browser.press(switch, Keys.SPACE)
    assert browser.find("img[alt*='speaks for']")
    assert browser.overflow() <= 0


def test_a_candidate_leads_to_its_page_and_back_to_the_answer(
    browser: Browser, site: str, photo
) -> None:
    browser.open(site)
    browser.upload(photo(RED))
    browser.find("h1", "looks like")
    browser.settle()
    browser.find("[class*='st-key-bar-krishna'] a").send_keys(Keys.ENTER)
    assert browser.wait(lambda: browser.find("h1").text == "Krishna")
    assert browser.driver.current_url == f"{site}/explore?deity=krishna"
    browser.settle()
    browser.find(".st-key-tabs a", "Snap").click()
    assert browser.find("h1", "looks like").text == "This looks like Ganesha"
    browser.settle()
    browser.find("button", "New photo").click()
    assert browser.find("h1", "Who is this?")


def test_a_card_leads_to_its_page(browser: Browser, site: str) -> None:
    browser.open(f"{site}/explore")
    search = browser.find("input[aria-label='Search in any name or script']")
    search.send_keys("शिव")
    browser.wait(lambda: len(browser.find_all("[class*='st-key-card-']")) < 10)
    browser.settle()
    browser.find("[class*='st-key-card-shiva'] .domain")
    browser.find("[class*='st-key-card-shiva'] a").click()
    assert browser.wait(lambda: browser.find("h1").text == "Shiva")


def test_a_card_opens_its_entry_at_the_top_and_back_leads_to_the_card(
    browser: Browser, site: str
) -> None:
    browser.open(f"{site}/explore")
    card = browser.find("[class*='st-key-card-'] a", "Bastet")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", card)
    read_to = scrolled(browser)
    assert read_to > 0
    card.click()
    heading(browser, "Bastet")
    assert browser.driver.current_url == f"{site}/explore?deity=bastet"
    assert browser.driver.title == "Bastet · Ideitify"
    assert scrolled(browser) == 0
    browser.driver.back()
    heading(browser, "Explore")
    assert browser.driver.current_url == f"{site}/explore"
    assert browser.driver.title == "Explore · Ideitify"
    assert browser.wait(lambda: abs(scrolled(browser) - read_to) < 100)


def test_a_link_between_entries_and_the_way_to_all_of_them_are_in_the_address(
    chrome: Browser, site: str
) -> None:
    chrome.look(PHONE)
    chrome.open(f"{site}/explore?deity=krishna")
    chrome.find(".st-key-alike-rama a").send_keys(Keys.ENTER)
    heading(chrome, "Rama")
    assert chrome.driver.current_url == f"{site}/explore?deity=rama"
    assert scrolled(chrome) == 0
    chrome.driver.refresh()
    heading(chrome, "Rama")
    chrome.find("a", "All entries").click()
    heading(chrome, "Explore")
    assert chrome.driver.current_url == f"{site}/explore"
    for name in ("Rama", "Krishna"):
        chrome.driver.back()
        heading(chrome, name)


def test_what_has_the_focus_is_not_under_the_tabs(chrome: Browser, site: str) -> None:
    chrome.look(PHONE)
    chrome.open(f"{site}/explore")
    link = chrome.find("[class*='st-key-card-'] a", "Bastet")
    chrome.run("arguments[0].scrollIntoView({block: 'end'})", link)
    below = chrome.run("return arguments[0].getBoundingClientRect().bottom", link)
    tabs = chrome.run("return document.querySelector('.st-key-tabs').getBoundingClientRect().top")
    assert 0 < below <= tabs


def test_a_short_address_leads_to_its_entry_and_does_not_catch_who_goes_back(
    chrome: Browser, site: str
) -> None:
    chrome.open(f"{site}/about")
    chrome.open(f"{site}/?deity=ganesha")
    heading(chrome, "Ganesha")
    assert chrome.driver.current_url == f"{site}/explore?deity=ganesha"
    chrome.driver.back()
    heading(chrome, "About Ideitify")


def test_back_leads_from_an_answer_to_the_question_and_forward_to_the_answer(
    browser: Browser, site: str, photo
) -> None:
    browser.open(site)
    browser.upload(photo(RED))
    heading(browser, "This looks like Ganesha")
    assert browser.driver.title == "This looks like Ganesha · Ideitify"
    browser.driver.back()
    heading(browser, "Who is this?")
    assert browser.driver.title == "Snap · Ideitify"
    browser.driver.forward()
    heading(browser, "This looks like Ganesha")
    browser.driver.back()
    heading(browser, "Who is this?")
    browser.upload(photo(BLUE))
    heading(browser, "This looks like Krishna")
    browser.driver.refresh()  # nothing is stored
    heading(browser, "Who is this?")


def test_a_photo_too_large_is_refused_with_its_reason_alone(
    browser: Browser, site: str, tmp_path: Path
) -> None:
    words_only, large = tmp_path / "words.jpg", tmp_path / "large.jpg"
    words_only.write_text("just words")
    with large.open("wb") as file:
        file.truncate(21 * 2**20)
    browser.open(site)
    browser.upload(words_only)
    browser.find("[data-testid=stAlert]", "not an image")
    browser.settle()
    browser.upload(large)
    reason = browser.find(".stFileChip [role=alert]", "must be 20.0MB or smaller")
    assert reason.rect["height"] > 10
    assert not browser.find_all("[data-testid=stAlert]")
    assert browser.overflow() <= 0
    browser.upload(words_only)
    assert browser.find("[data-testid=stAlert]", "not an image")


def test_a_phone_held_sideways_has_the_shutter_in_sight(chrome: Browser, site: str) -> None:
    chrome.look(SIDEWAYS)
    chrome.open(site)
    shutter = chrome.wait(lambda: chrome.find_all("button:enabled", "Take Photo"))[0]
    assert shutter.rect["y"] + shutter.rect["height"] <= SIDEWAYS[1]
    assert chrome.find("[data-testid=stCameraInput] video").rect["height"] > 100


def test_the_current_tab_is_told_to_screen_readers(chrome: Browser, site: str) -> None:
    chrome.open(f"{site}/about")
    names = [tab.accessible_name for tab in chrome.find_all(".st-key-tabs a")]
    assert names == ["Snap", "Explore", "About (this page)"]


def test_a_denied_camera_leaves_a_hint(chrome: Browser, site: str) -> None:
    denial = """
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("Permission denied", "NotAllowedError"));"""
    chrome.look(PHONE)
    with chrome.before_each_page(denial):
        chrome.open(site)
    assert "or choose Photo above" in chrome.find("p", "No picture?").text
    assert chrome.find("button:disabled", "Take Photo")


def test_a_phone_uses_its_rear_camera(chrome: Browser, site: str) -> None:
    spy = """
    window.asked = [];
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = wish => {
      window.asked.push(wish.video.facingMode);
      return open(wish);
    };"""
    chrome.look(PHONE)
    with chrome.before_each_page(spy):
        chrome.open(site)
    assert chrome.wait(lambda: chrome.run("return asked.at(-1) === 'environment'"))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_each_page_fits_and_is_named_for_screen_readers(
    chrome: Browser, site: str, page: str, scheme: str, size: str
) -> None:
    chrome.look(SIZES[size], scheme)
    chrome.open(f"{site}/{PAGES[page]}")
    chrome.save_screenshot(SCREENSHOTS / f"{page}-{size}-{scheme}.png")
    assert chrome.overflow() <= 0
    assert chrome.driver.title.endswith("· Ideitify")
    assert len(chrome.find_all("h1")) == 1
    assert not chrome.find_all("[data-testid=stMainMenu], [data-testid=stAppDeployButton]")
    for control in chrome.find_all("a, button, input, select, textarea, img"):
        assert control.accessible_name, control.get_attribute("outerHTML")
    for entry in chrome.driver.get_log("browser"):
        # Streamlit asks its own server where a deep link's root is; no other host is to be asked.
        assert entry["message"].startswith(f"{site}/"), entry
    background = chrome.run("return getComputedStyle(document.querySelector('.stApp')).colorScheme")
    assert background == scheme


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_shipped_model_answers_in_the_app_as_elsewhere(
    chrome: Browser, shipped_site: str, scheme: str, size: str
) -> None:
    expected = words.headline(Recognizer(SHIPPED).recognize(DRAWING)).replace("**", "")
    chrome.look(SIZES[size], scheme)
    chrome.open(shipped_site)
    chrome.upload(DRAWING)
    chrome.find("img[alt='Your photo']")
    chrome.settle()
    assert chrome.find("h1").text.replace("\n", " ") == expected
    assert len(shares(chrome)) == 5
    assert chrome.overflow() <= 0
    chrome.save_screenshot(SCREENSHOTS / f"answer-{size}-{scheme}.png")


@pytest.mark.parametrize("size", SIZES)
def test_what_the_shipped_model_says_of_itself_fits(
    chrome: Browser, shipped_site: str, size: str
) -> None:
    chrome.look(SIZES[size], "light")
    chrome.open(f"{shipped_site}/about")
    facts = chrome.find(".facts").text
    assert "56 deities and sacred figures, and 161 from few pictures only" in facts
    assert "{" not in facts
    chrome.settle()
    assert chrome.overflow() <= 0


def test_the_same_process_answers_programs(site: str, photo) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        assert client.get("/api/health").json()["status"] == "ok"
        answer = client.post("/api/identify", content=photo(RED).read_bytes()).json()
        assert answer["candidates"][0]["deity"] == "ganesha"
        assert client.get("/api/deities/ganesha").json()["name"] == "Ganesha"
        assert client.get("/explore").text.startswith("<!--")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast(scheme: str) -> None:
    """WCAG 2.2 AA asks for 4.5 between text and its background."""
    theme = tomllib.loads((PROJECT / ".streamlit/config.toml").read_text())["theme"][scheme]
    style = (PROJECT / "views/style.css").read_text()
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}), #\w{6}\)", style))
    if scheme == "dark":
        pairs = dict(re.findall(r"--([\w-]+): light-dark\(#\w{6}, (#\w{6})\)", style))
    for ink, paper in product(
        (theme["textColor"], theme["linkColor"], pairs["accent"], pairs["quiet"]),
        (theme["backgroundColor"], theme["secondaryBackgroundColor"], pairs["card"], pairs["tint"]),
    ):
        assert _contrast(ink, paper) >= 4.5, (ink, paper)
    for paper in (theme["primaryColor"], pairs["accent"]):
        assert _contrast(pairs["on-accent"], paper) >= 4.5, paper
    for colour in ("red", "yellow", "blue"):
        notice = theme[f"{colour}TextColor"], theme[f"{colour}BackgroundColor"]
        assert _contrast(*notice) >= 4.5, notice


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [value / 255 for value in bytes.fromhex(colour.removeprefix("#"))]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
