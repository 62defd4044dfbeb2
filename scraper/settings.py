"""Every option of the scraper, from the environment or `.streamlit/secrets.toml`.

`IDEITIFY_SCRAPER_CONTACT=me@example.org` in the environment, or `contact = "me@example.org"` in a
section `[scraper]` of the secrets file; the environment wins.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from ideitify import __version__
from ideitify.settings import PROJECT_FOLDER, SectionSettings


class ScraperSettings(SectionSettings):
    """The options, each with its default and reason."""

    model_config = SettingsConfigDict(env_prefix="IDEITIFY_SCRAPER_", extra="forbid", frozen=True)
    section = "scraper"

    contact: str = Field(
        "",
        description="e-mail or URL that reaches you, sent in the User-Agent; some sources ask it",
    )
    europeana_key: SecretStr = Field(SecretStr(""), description="key of the Europeana Search API")

    host_delay: float = Field(
        1.0, ge=0, description="seconds between requests to one host; 0 for no pause"
    )
    host_delays: dict[str, float] = Field(
        {
            "collectionapi.metmuseum.org": 1.0,  # answers faster visitors with an HTML block page
            "api.openverse.org": 3.0,  # 20 requests a minute without a key
        },
        description="seconds between requests to the hosts that publish their own limit, as JSON",
    )
    host_concurrency: int = Field(
        2, ge=0, description="requests to one host at a time; 0 for no limit"
    )
    concurrency: int = Field(64, gt=0, description="requests at a time in all")

    total_seconds: float = Field(
        120.0, gt=0, description="most time for one answer, from connecting to its last byte"
    )
    idle_seconds: float = Field(
        20.0, gt=0, description="most time to wait for a connection or the next bytes"
    )
    max_bytes: int = Field(60 * 2**20, gt=0, description="largest picture in bytes")
    max_json_bytes: int = Field(
        32 * 2**20, gt=0, description="largest answer of an API in bytes, unpacked"
    )
    redirects: int = Field(5, ge=0, description="redirects followed for one URL")
    retries: int = Field(3, ge=0, description="further attempts at what may heal by itself")
    backoff_seconds: float = Field(
        1.0, ge=0, description="wait before the first retry; doubled for each one more, with jitter"
    )
    patience_seconds: float = Field(
        120.0,
        ge=0,
        description="longest Retry-After or Crawl-delay waited for; hosts that ask for more are "
        "left for later",
    )

    browser_driver: str = Field(
        "", description="path of chromedriver; empty leaves finding it to Selenium Manager"
    )
    browser_binary: str = Field(
        "", description="path of Chrome or Chromium; empty leaves finding it to Selenium Manager"
    )
    show_browser: bool = Field(False, description="show the browser's window while it searches")
    browser_seconds: float = Field(
        20.0, gt=0, description="most time for one step on a search page, such as loading more"
    )
    browser_reports: Path = Field(
        PROJECT_FOLDER / "runs" / "browser",
        description="folder for the screenshot and HTML of a search page that no longer fits",
    )

    @field_validator("contact")
    @classmethod
    def _one_line(cls, contact: str) -> str:
        """It becomes part of a header."""
        if not contact.isascii() or not contact.isprintable():
            raise ValueError("must be an e-mail address or URL in ASCII letters, on one line")
        return contact.strip()

    @property
    def user_agent(self) -> str:
        """Who asks, as every request says it: name, version, what for, and whom to write to."""
        contact = self.contact or "no contact given"
        return f"Ideitify/{__version__} (collects pictures of deities; {contact})"


@cache
def scraper_settings() -> ScraperSettings:
    """The process's settings of the scraper, read once.

    Raises:
        pydantic.ValidationError: an option has a value that cannot be used; it is named.
    """
    return ScraperSettings()
