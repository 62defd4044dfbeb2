"""Every option of the app, the API and the CLI, from the environment or `.streamlit/secrets.toml`.

`IDEITIFY_MAX_BYTES=5000000` in the environment, or `max_bytes = 5000000` in a section `[ideitify]`
of the secrets file; the environment wins. `python -m ideitify settings` prints them as a table.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
SECRETS_FILE = PROJECT_FOLDER / ".streamlit" / "secrets.toml"


class SectionSettings(BaseSettings):
    """Options of one part of the project: its arguments, the environment, then its `section`."""

    section: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the secrets file."""
        return init_settings, env_settings, _SecretsSection(settings_cls, cls.section)


class _SecretsSection(TomlConfigSettingsSource):
    """One section of the secrets file; the others belong to Streamlit and other tools."""

    def __init__(self, settings_cls: type[BaseSettings], section: str) -> None:
        self._section = section
        super().__init__(settings_cls, SECRETS_FILE)

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return super()._read_file(file_path).get(self._section, {})


class Settings(SectionSettings):
    """The options, each with its default and reason."""

    model_config = SettingsConfigDict(env_prefix="IDEITIFY_", extra="forbid", frozen=True)
    section = "ideitify"

    bundle: str = Field(
        str(PROJECT_FOLDER / "models" / "default"),
        description="model bundle: a folder or hf://owner/repo@revision",
    )
    refresh_minutes: float = Field(
        15,
        ge=0,
        description="minutes between looks of the app for a newer commit of a bundle on the Hub; "
        "0: none",
    )
    max_bytes: int = Field(
        20 * 2**20,
        gt=0,
        description="largest photo in bytes; a phone's 50-megapixel JPEG has about 15 MB",
    )
    max_pixels: int = Field(
        120_000_000, gt=0, description="largest photo in pixels, against decompression bombs"
    )
    max_frames: int = Field(
        1000,
        gt=0,
        description="most frames of an animation or pages of a TIFF; only the first is read",
    )
    threads: int = Field(
        0, ge=0, description="processors that recognising may use; 0: all that there are"
    )
    fetch_seconds: float = Field(
        10.0, gt=0, description="total time to fetch a picture from a pasted URL"
    )
    fetch_redirects: int = Field(5, ge=0, description="redirects followed for a pasted URL")
    allow_private: bool = Field(
        False, description="let pasted URLs reach private and loopback addresses; for tests only"
    )
    review_folder: str = Field(
        "", description="dataset folder whose doubtful pictures the page Review shows; empty: none"
    )
    review_password: SecretStr = Field(
        SecretStr(""), description="what the page Review asks for; it stays shut without one"
    )
    review_alone: bool = Field(
        False,
        description="show nothing but the page Review, and without a password if none is set; "
        "python -m data_prep review sets it for a server that only this machine reaches",
    )


@cache
def settings() -> Settings:
    """The process's settings, read once.

    Raises:
        pydantic.ValidationError: an option has a value that cannot be used; it is named.
    """
    return Settings()
