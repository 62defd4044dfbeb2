"""Options of the scraper come from the environment or a section of their own, and are described."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import ideitify.settings
from ideitify.settings import Settings
from scraper.settings import ScraperSettings


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secrets file to write, instead of the project's."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setattr(ideitify.settings, "SECRETS_FILE", path)
    for name in ScraperSettings.model_fields:
        monkeypatch.delenv(f"IDEITIFY_SCRAPER_{name.upper()}", raising=False)
    return path


def test_hosts_are_spared_unless_told_otherwise() -> None:
    assert ScraperSettings().host_delay >= 1
    assert ScraperSettings().host_concurrency <= 2


def test_the_environment_wins_over_the_secrets_file(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.write_text('[scraper]\ncontact = "a@example.org"\nretries = 7\n')
    monkeypatch.setenv("IDEITIFY_SCRAPER_CONTACT", "b@example.org")
    assert (ScraperSettings().contact, ScraperSettings().retries) == ("b@example.org", 7)


def test_the_sections_of_app_and_scraper_do_not_meet(secrets: Path) -> None:
    secrets.write_text("[ideitify]\nmax_bytes = 5\n[scraper]\nmax_bytes = 6\n")
    assert (Settings().max_bytes, ScraperSettings().max_bytes) == (5, 6)


def test_limits_of_single_hosts_are_a_table(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.write_text('[scraper.host_delays]\n"museum.test" = 5\n')
    assert ScraperSettings().host_delays == {"museum.test": 5}
    monkeypatch.setenv("IDEITIFY_SCRAPER_HOST_DELAYS", '{"other.test": 2.5}')
    assert ScraperSettings().host_delays["other.test"] == 2.5


def test_the_user_agent_says_who_asks_and_whom_to_write_to() -> None:
    assert "me@example.org" in ScraperSettings(contact="me@example.org").user_agent
    assert ScraperSettings().user_agent.startswith("Ideitify/")
    assert "no contact" in ScraperSettings().user_agent


@pytest.mark.parametrize("contact", ["a\r\nHost: b", "गणेश@example.org", "a\tb"])
def test_a_contact_that_does_not_fit_a_header_is_named(contact: str) -> None:
    with pytest.raises(ValidationError, match="contact"):
        ScraperSettings(contact=contact)


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDEITIFY_SCRAPER_EUROPEANA_KEY", "hush")
    settings = ScraperSettings()
    assert settings.europeana_key.get_secret_value() == "hush"
    assert "hush" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HOST_DELAY", "-1"), ("CONCURRENCY", "0"), ("MAX_BYTES", "many"), ("RETRIES", "-1")],
)
def test_a_value_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"IDEITIFY_SCRAPER_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        ScraperSettings()


def test_an_option_that_does_not_exist_is_named(secrets: Path) -> None:
    secrets.write_text("[scraper]\nhost_delai = 1\n")
    with pytest.raises(ValidationError, match="host_delai"):
        ScraperSettings()


@pytest.mark.parametrize("name", ScraperSettings.model_fields)
def test_every_option_is_described(name: str) -> None:
    assert ScraperSettings.model_fields[name].description
