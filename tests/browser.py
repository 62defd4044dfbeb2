"""The app as its users meet it: `streamlit run app.py` on a free port, looked at with Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PROJECT = Path(__file__).parents[1]
PHONE, SIDEWAYS, DESKTOP = (390, 844), (844, 390), (1280, 900)
_REDRAWN = (NoSuchElementException, StaleElementReferenceException)
PATIENCE = 40.0  # seconds, for a busy machine
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Mobile Safari/537.36"
)


@contextmanager
def serve(bundle: Path, log: Path, options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the app with a bundle and other options of the environment; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", "app.py", "--server.address=127.0.0.1",
        f"--server.port={port}", "--server.headless=true", "--server.fileWatcherType=none",
    ]  # fmt: skip
    environment = {**os.environ, "IDEITIFY_BUNDLE": str(bundle), **(options or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _wait_until_healthy(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/_stcore/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text(errors='replace')}")


@contextmanager
def chromium(camera: Image.Image, folder: Path) -> Iterator[Browser]:
    """Run Chromium with a camera that always sees one picture."""
    film = folder / "camera.mjpeg"
    camera.save(folder / "frame.jpg", quality=95)
    film.write_bytes(2 * (folder / "frame.jpg").read_bytes())
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
        "no-proxy-server", "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream",
        f"use-file-for-fake-video-capture={film}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    service = webdriver.ChromeService(_program("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(f"install {names[0]}: the browser tests need it")


class Browser:
    """A driver with the few gestures that the tests make."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def look(self, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        """Take the screen's size and the system's colour scheme; a phone has touch, too."""
        phone = size in {PHONE, SIDEWAYS}
        width, height = size
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2, mobile=phone,
        )  # fmt: skip
        self._devtools("Emulation.setUserAgentOverride", userAgent=ANDROID if phone else "")
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._devtools("Emulation.setEmulatedMedia", features=[feature])

    def open(self, address: str) -> None:
        """Open a page and wait until it stands."""
        self.driver.get(address)
        self.find("h1")
        self.settle()

    def find(self, css: str, text: str = "") -> WebElement:
        """Wait for a visible element with `text` in it."""
        return self.wait(lambda: next(iter(self.find_all(css, text)), None))

    def find_all(self, css: str, text: str = "") -> list[WebElement]:
        """Visible elements with `text` in them."""
        elements = self.driver.find_elements(By.CSS_SELECTOR, css)
        return [found for found in elements if found.is_displayed() and text in found.text]

    def wait(self, condition):
        """Wait until `condition` holds, and return what it gave; elements may be redrawn."""
        waiting = WebDriverWait(
            self.driver, PATIENCE, poll_frequency=0.05, ignored_exceptions=_REDRAWN
        )
        return waiting.until(lambda _: condition())

    def settle(self) -> None:
        """Wait until the script has run and nothing on the page is about to change."""
        self.wait(lambda: self.run(
            "return document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
            " && !document.querySelector('[data-stale=true], .stSpinner, .stSkeleton')"
        ))  # fmt: skip

    def upload(self, photo: Path) -> None:
        """Choose a photo."""
        self.find("button", "Photo").click()
        chooser = "input[type=file]"
        self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, chooser))
        self.driver.find_element(By.CSS_SELECTOR, chooser).send_keys(str(photo))

    def press(self, element: WebElement, key: str) -> None:
        """Give an element the focus, as Tab does, and press a key.

        The element itself may be clipped away, as a switch is that others draw.
        """
        self.run("arguments[0].focus()", element)
        assert self.driver.switch_to.active_element == element, "the keyboard does not reach it"
        ActionChains(self.driver).send_keys(key).perform()

    def overflow(self) -> int:
        """How many pixels the page is wider than the screen."""
        return self.run(
            "return document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth"
        )

    def save_screenshot(self, path: Path) -> None:
        """Write what the screen shows."""
        path.parent.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(path))

    @contextmanager
    def before_each_page(self, script: str) -> Iterator[None]:
        """Run JavaScript in every page that is opened meanwhile, before the page's own."""
        added = self._devtools("Page.addScriptToEvaluateOnNewDocument", source=script)
        try:
            yield
        finally:
            self._devtools("Page.removeScriptToEvaluateOnNewDocument", **added)

    def run(self, script: str, *arguments: object):
        """Run JavaScript."""
        return self.driver.execute_script(script, *arguments)

    def _devtools(self, command: str, **arguments: object) -> dict:
        return self.driver.execute_cdp_cmd(command, arguments)
