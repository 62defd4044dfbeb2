from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from streamlit.testing.v1 import AppTest

from ideitify import serving
from tests.hub_server import Commit, Hub, running_hub
from tests.tiny import write_bundle
from tests.views.conftest import text_of


def test_the_measured_figures_come_with_interval_and_sample(app: AppTest) -> None:
    app.run().switch_page("about.py").run()
    said = text_of(app)
    for fact in (
        "Validation", "Right at the first guess", "90.0 %", "80 – 95 %", "<td>100</td>", "Ganesha",
        "worked out by hand", "2025-01-01", "MIT", "Nothing is stored",
    ):  # fmt: skip
        assert fact in said
    assert not app.exception


def test_figures_that_belong_together_stand_together(
    app: AppTest, restart: Callable[..., None], tmp_path: Path
) -> None:
    keys = [
        "some_new_figure", "expected_calibration_error_if_perfect", "expected_calibration_error",
        "accuracy",
    ]  # fmt: skip
    estimate = {"value": 0.9, "low": 0.8, "high": 0.95, "pictures": 100}
    metrics = {"validation": dict.fromkeys(keys, estimate)}
    restart(bundle=write_bundle(tmp_path / "bundle", metrics=metrics))
    app.run().switch_page("about.py").run()
    rows = re.findall('<th scope="row">(.*?)</th>', text_of(app))
    assert rows[:4] == [
        "Right at the first guess", "Gap between stated and true confidence",
        "The same gap, if confidence were perfect", "Some new figure",
    ]  # fmt: skip


def test_without_a_model_the_rest_of_the_page_stands(
    app: AppTest, restart: Callable[..., None], tmp_path: Path
) -> None:
    restart(bundle=tmp_path)
    app.run().switch_page("about.py").run()
    assert "is not a model bundle" in app.error[0].value
    assert "MIT" in text_of(app)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on this machine, which the client in this process takes for the real one."""
    with running_hub() as hub:
        found_at = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        options = {
            "ENDPOINT": hub.url, "HUGGINGFACE_CO_URL_TEMPLATE": found_at,
            "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": True,
        }  # fmt: skip
        for name, value in options.items():
            monkeypatch.setattr(constants, name, value)
        yield hub


def test_a_newer_model_that_was_refused_is_told_with_its_reason(
    app: AppTest, restart: Callable[..., None], hub: Hub, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    hub.add("someone/tiny", bundle)
    restart(bundle="hf://someone/tiny", refresh_minutes=0)  # no thread outlives the test
    app.run().switch_page("about.py").run()
    assert not app.warning
    (bundle / "model.onnx").write_bytes(b"other")
    hub.add("someone/tiny", bundle)
    hub.commits["someone/tiny"] = [Commit("damaged", "")]
    serving._keeper().refresh()  # as its thread does now and then
    app.run()
    assert "model.onnx is damaged" in app.warning[0].value.replace("\\", "")
    assert "this one goes on" in app.warning[0].value
    assert "90.0 %" in text_of(app)
