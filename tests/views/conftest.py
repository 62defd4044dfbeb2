"""The app's pages in Streamlit's own test harness, with a model whose answers are known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from ideitify import serving
from ideitify.settings import settings

MAIN = Path(__file__).parents[2] / "views" / "main.py"


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's harness leaves the page as `__main__`, which spawned processes would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def forget() -> None:
    """Forget the settings and the model, which a process reads once."""
    settings.cache_clear()
    serving._only_keeper.cache_clear()
    streamlit.cache_resource.clear()


@pytest.fixture
def restart(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """What a server reads anew when it is started again, with these settings."""

    def restart(**options: object) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"IDEITIFY_{name.upper()}", str(value))
        forget()

    yield restart
    forget()


@pytest.fixture
def app(tiny_bundle: Path, restart: Callable[..., None]) -> AppTest:
    """The app on its first page, not yet run."""
    restart(bundle=tiny_bundle)
    return AppTest.from_file(MAIN, default_timeout=30)


def text_of(app: AppTest) -> str:
    """All that the page says, HTML included."""
    return "\n".join(element.value for element in [*app.title, *app.markdown, *app.html])
