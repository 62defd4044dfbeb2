"""The app's pages in Streamlit's own test harness, with a model whose answers are known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ideitify import Recognizer
from views import parts

MAIN = Path(__file__).parents[2] / "views" / "main.py"


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's harness leaves the page as `__main__`, which spawned processes would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def app(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app on its first page, not yet run."""
    recognizer = Recognizer(tiny_bundle)
    monkeypatch.setattr(parts, "load_recognizer", lambda: recognizer)
    return AppTest.from_file(MAIN, default_timeout=30)


def text_of(app: AppTest) -> str:
    """All that the page says, HTML included."""
    return "\n".join(element.value for element in [*app.title, *app.markdown, *app.html])
