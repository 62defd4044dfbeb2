"""Options come from the environment or the secrets file, are checked, and are all described."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import ideitify.settings
from ideitify.settings import PROJECT_FOLDER, Settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secrets file to write, instead of the project's."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setattr(ideitify.settings, "SECRETS_FILE", path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"IDEITIFY_{name.upper()}", raising=False)
    return path


def test_without_any_the_defaults_hold(secrets: Path) -> None:
    assert Settings().max_bytes == 20 * 2**20
    assert Settings().bundle == str(PROJECT_FOLDER / "models" / "default")


def test_the_environment(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDEITIFY_MAX_BYTES", "5000")
    monkeypatch.setenv("IDEITIFY_ALLOW_PRIVATE", "true")
    assert Settings().max_bytes == 5000
    assert Settings().allow_private is True


def test_the_secrets_file(secrets: Path) -> None:
    secrets.write_text('[ideitify]\nmax_bytes = 6000\nbundle = "models/mine"\n')
    assert Settings().max_bytes == 6000
    assert Settings().bundle == "models/mine"


def test_the_environment_wins_over_the_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.write_text("[ideitify]\nmax_bytes = 6000\nmax_frames = 7\n")
    monkeypatch.setenv("IDEITIFY_MAX_BYTES", "5000")
    assert (Settings().max_bytes, Settings().max_frames) == (5000, 7)


def test_other_sections_belong_to_others(secrets: Path) -> None:
    secrets.write_text('token = "x"\n[connections.db]\nmax_bytes = 1\n')
    assert Settings().max_bytes == 20 * 2**20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BYTES", "many"),
        ("MAX_BYTES", "0"),
        ("MAX_PIXELS", "-1"),
        ("MAX_FRAMES", "0"),
        ("THREADS", "-1"),
        ("FETCH_SECONDS", "0"),
        ("ALLOW_PRIVATE", "perhaps"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"IDEITIFY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_an_option_that_does_not_exist_is_named(secrets: Path) -> None:
    secrets.write_text("[ideitify]\nmax_byte = 6000\n")
    with pytest.raises(ValidationError, match="max_byte"):
        Settings()


def test_a_secrets_file_that_is_not_toml(secrets: Path) -> None:
    secrets.write_text("[ideitify\n")
    with pytest.raises(ValueError, match="line 1"):
        Settings()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_option_is_described(name: str) -> None:
    assert Settings.model_fields[name].description


def test_settings_do_not_change_under_way(secrets: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_bytes = 1  # type: ignore[misc]
