from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from ideitify import BundleError, serving
from tests.views.conftest import text_of
from views import parts


def test_the_measured_figures_come_with_interval_and_sample(app: AppTest) -> None:
    app.run().switch_page("about.py").run()
    said = text_of(app)
    for fact in (
        "Validation", "Right at the first guess", "90.0 %", "80 – 95 %", "<td>100</td>", "Ganesha",
        "worked out by hand", "2025-01-01", "MIT", "Nothing is stored",
    ):  # fmt: skip
        assert fact in said
    assert not app.exception


def test_without_a_model_the_rest_of_the_page_stands(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise BundleError("no bundle")

    monkeypatch.setattr(parts, "load_recognizer", fail)
    app.run().switch_page("about.py").run()
    assert "no bundle" in app.error[0].value
    assert "MIT" in text_of(app)


def test_a_newer_model_that_was_refused_is_told_with_its_reason(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving._keeper(), "refusal", "model.onnx is damaged")
    app.run().switch_page("about.py").run()
    assert "model.onnx is damaged" in app.warning[0].value.replace("\\", "")
    assert "this one goes on" in app.warning[0].value
