"""A real browser, for search pages that show nothing without one.

It wears no disguise: it says that it is Chromium, headless and driven. A page that turns robots
away has given its answer, which is passed on as an error. Every search starts with an empty profile
that is thrown away.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from urllib3.exceptions import HTTPError

from scraper.settings import ScraperSettings
from scraper.source import SourceError

T = TypeVar("T")

WINDOW = "1366,1000"  # pixels; wide enough for the desktop page, which is the one that is known
POLL_SECONDS = 0.1
REFUSALS = {403, 418, 429, 503}  # statuses with which search engines turn robots away

os.environ.setdefault("SE_AVOID_STATS", "true")  # Selenium Manager reports its use otherwise


class PageProblem(Exception):
    """Why a step on a page cannot be done: one phrase, and what its user can do about it."""

    def __init__(self, why: str, advice: str) -> None:
        self.advice = advice
        super().__init__(why)


class PageError(SourceError):
    """A step on a page failed.

    Attributes:
        step: what was tried, such as "finding the results".
        screenshot, html: what the browser saw then; None where it could not be saved any more.
    """

    def __init__(
        self, message: str, step: str, screenshot: Path | None = None, html: Path | None = None
    ) -> None:
        self.step = step
        self.screenshot = screenshot
        self.html = html
        super().__init__(message)


@dataclass(frozen=True)
class Facts:
    """What a page says besides its looks.

    Attributes:
        links: (address, label) of its links, frames and itself.
        data: its scripts, the attributes that hold JSON, and the answers to its own requests.
    """

    links: list[tuple[str, str]]
    data: list[str]


@dataclass(frozen=True)
class Button:
    """Something to press.

    Attributes:
        label: what it says to a screen reader, or shows.
        form: names and values of the hidden fields of its form.
        asking: whether it stands in a form or dialog.
        below: whether it stands below all thumbnails, and not in the page's footer.
    """

    element: WebElement
    id: str
    label: str
    form: dict[str, str]
    asking: bool
    below: bool


@dataclass(frozen=True)
class Tile:
    """A thumbnail in a page of results.

    Attributes:
        title: what it shows, in words.
        text: all that its box says, attributes included.
    """

    element: WebElement
    title: str
    text: str


@dataclass(frozen=True)
class View:
    """A large picture on the screen, and what stands around it.

    Attributes:
        width, height: of the picture's file, in pixels.
        text: what the viewer shows.
        links: (address, label) of the links in the viewer.
    """

    address: str
    title: str
    width: int
    height: int
    text: str
    links: list[tuple[str, str]]


@contextmanager
def open_browser(name: str, settings: ScraperSettings) -> Iterator[Browser]:
    """Start Chromium for the source `name`, and end it.

    Raises:
        SourceError: it does not start.
    """
    try:
        service = webdriver.ChromeService(settings.browser_driver or None)
        driver = webdriver.Chrome(options=_options(settings), service=service)
    except WebDriverException as error:
        raise SourceError(
            f"{name} needs a browser, which does not start ({_first_line(error)}): install Chromium"
            " and chromedriver, or set IDEITIFY_SCRAPER_BROWSER_BINARY and"
            " IDEITIFY_SCRAPER_BROWSER_DRIVER; --show-browser needs a screen."
        ) from error
    try:
        driver.set_page_load_timeout(settings.total_seconds)
        yield Browser(name, driver, settings)
    finally:
        driver.quit()


def _options(settings: ScraperSettings) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = settings.browser_binary
    options.page_load_strategy = "eager"  # pictures may go on loading
    options.add_argument(f"--window-size={WINDOW}")
    options.add_argument("--disable-dev-shm-usage")  # containers have little shared memory
    if not settings.show_browser:
        options.add_argument("--headless=new")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium does not start as root with it
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.add_experimental_option("perfLoggingPrefs", {"enablePage": False})
    options.add_experimental_option("prefs", {"intl.accept_languages": "en-US,en"})
    return options


class Browser:
    """A page in Chromium, and the few gestures that searching needs."""

    def __init__(self, name: str, driver: webdriver.Chrome, settings: ScraperSettings) -> None:
        """`name` of the source that it works for, for errors and the names of reports."""
        self._name = name
        self._driver = driver
        self._settings = settings
        self._next_turn = 0.0
        self._host: str | None = None
        self._answering: dict[str, bool] = {}  # requests of the page: whether the body is wanted
        self._answers: list[str] = []
        self.refusal = ""  # with which status the site turned the page itself away
        self.refused_request = ""  # or a request of the page, which need not be about results

    @property
    def address(self) -> str:
        """Where the page is."""
        return self._driver.current_url

    @property
    def seconds(self) -> float:
        """The most time for one step."""
        return self._settings.browser_seconds

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say what is being tried; what goes wrong meanwhile becomes a `PageError` that says so."""
        try:
            yield
        except PageProblem as problem:
            raise self._report(name, str(problem), problem.advice) from problem
        except WebDriverException as error:
            advice = "Try again, with --show-browser to watch it."
            raise self._report(name, _first_line(error), advice) from error
        except HTTPError as error:  # of the line to chromedriver
            raise self._report(name, "the browser has ended", "Try again.") from error

    def open(self, address: str) -> None:
        """Go to a page."""
        self._host = urlsplit(address).hostname
        self._follow()
        self._answers, self._answering = [], {}
        self.refusal = self.refused_request = ""
        self._take_turn()
        try:
            self._driver.get(address)
        except WebDriverException as error:
            if code := re.search(r"net::(\w+)", error.msg or ""):
                why = f"{self._host} cannot be reached ({code[1]})"
                raise PageProblem(why, "Check the network, and try again.") from error
            raise

    def wait(self, condition: Callable[[], T], seconds: float | None = None) -> T | None:
        """Wait until `condition` gives something true, at most `seconds`; None after them."""
        waiting = WebDriverWait(
            self._driver,
            seconds or self.seconds,
            poll_frequency=POLL_SECONDS,
            ignored_exceptions=(StaleElementReferenceException,),
        )
        with suppress(TimeoutException):
            return waiting.until(lambda _: condition())
        return None

    def pulse(self) -> list[Any]:
        """Something that changes when the page has changed, and costs little."""
        self._follow()
        return [*self._run("pulse"), len(self._answers)]

    def facts(self) -> Facts:
        """What the page says now; each answer to its requests is given once."""
        self._follow()
        answers, self._answers = self._answers, []
        links, data = self._run("facts")
        return Facts([(address, label) for address, label in links], data + answers)

    def tiles(self, ways: tuple[str, ...]) -> list[Tile]:
        """Thumbnails that are shown, found in the first of these ways (CSS) that finds any."""
        return [Tile(**tile) for tile in self._run("tiles", list(ways))]

    def buttons(self, tiles: tuple[str, ...]) -> list[Button]:
        """What can be pressed; links to other pages are not among it."""
        return [Button(**button) for button in self._run("buttons", list(tiles))]

    def views(self, tile: Tile) -> list[View]:
        """Large pictures on the screen outside the grid of thumbnails, the largest first."""
        views = self._run("views", tile.element)
        return [View(**view | {"links": [tuple(link) for link in view["links"]]}) for view in views]

    def says(self, selectors: str, words: re.Pattern[str], whole: bool = False) -> bool:
        """Whether anything matches the selectors, or the text that is shown has the words.

        Args:
            whole: the words are all that one element says, not part of the title of a result.
        """
        return self._run("says", selectors, words.pattern, whole)

    def click(self, element: WebElement) -> None:
        """Press an element, also one that something else covers."""
        self._take_turn()
        self._run("center", element)
        try:
            element.click()
        except (ElementClickInterceptedException, ElementNotInteractableException):
            self._run("press", element)

    def pointers(self, tile: Tile) -> set[tuple[str, str]]:
        """(address, label) of the page, its frames and a tile's own links: what a click changes."""
        return {(address, label) for address, label in self._run("pointers", tile.element)}

    def close_view(self, before: str) -> None:
        """Leave the viewer of a picture for the page at `before`, from where it was opened."""
        if self.address != before:
            self._driver.back()
        else:
            ActionChains(self._driver).send_keys(Keys.ESCAPE).perform()

    def scroll_down(self) -> None:
        """Go to the end of the page as it is now, unless it is there."""
        if self._run("isAboveEnd"):
            self._take_turn()
            self._run("scrollDown")

    def _run(self, function: str, *arguments: object) -> Any:
        """Call a function of `page.js` in the page."""
        script = f"{_script()}\nreturn {function}(...arguments);"
        return self._driver.execute_script(script, *arguments)

    def _take_turn(self) -> None:
        """Keep the pause between two requests to one host; each gesture may cause one."""
        time.sleep(max(0.0, self._next_turn - time.monotonic()))
        delay = self._settings.host_delays.get(self._host or "", self._settings.host_delay)
        self._next_turn = time.monotonic() + delay

    def _follow(self) -> None:
        """Read what the page has asked for, and what came, from the browser's log."""
        for entry in self._driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            parameters = event["params"]
            if event["method"] == "Network.responseReceived":
                self._note_response(parameters)
            elif event["method"] == "Network.loadingFinished":
                self._keep_answer(parameters["requestId"])

    def _note_response(self, parameters: dict[str, Any]) -> None:
        response, kind = parameters["response"], parameters.get("type")
        address = urlsplit(response["url"])
        if kind in {"Document", "XHR", "Fetch"} and address.hostname == self._host:
            refusal = f"status {response['status']} for {address.path}"
            if response["status"] in REFUSALS and kind == "Document":
                self.refusal = refusal
            elif response["status"] in REFUSALS:
                self.refused_request = refusal
            is_text = re.search("text|json|javascript", response.get("mimeType", ""))
            self._answering[parameters["requestId"]] = kind != "Document" and bool(is_text)

    def _keep_answer(self, request: str) -> None:
        if self._answering.pop(request, False):
            with suppress(WebDriverException):  # the browser keeps only so much, and not for long
                body = self._driver.execute_cdp_cmd(
                    "Network.getResponseBody", {"requestId": request}
                )
                self._answers.append(body["body"])

    def _report(self, step: str, why: str, advice: str) -> PageError:
        screenshot, html = self._save(step)
        seen = f" What the browser saw: {screenshot} and {html}." if html else ""
        message = f"{self._name} cannot go on: {step} failed, because {why}. {advice}{seen}"
        return PageError(message, step, screenshot, html)

    def _save(self, step: str) -> tuple[Path | None, Path | None]:
        """Write the screen and the page; neither if the browser has gone, or there is no room."""
        name = f"{self._name}-{step.replace(' ', '-')}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        report = self._settings.browser_reports / name
        screenshot, html = report.with_suffix(".png"), report.with_suffix(".html")
        try:
            screen, page = self._driver.get_screenshot_as_png(), self._driver.page_source
            report.parent.mkdir(parents=True, exist_ok=True)
            screenshot.write_bytes(screen)
            html.write_text(page, encoding="utf-8")
        except (WebDriverException, HTTPError, OSError):
            return None, None
        return screenshot, html


@cache
def _script() -> str:
    return Path(__file__).with_name("page.js").read_text(encoding="utf-8")


def _first_line(error: WebDriverException) -> str:
    return (error.msg or type(error).__name__).strip().split("\n")[0].rstrip(".")
