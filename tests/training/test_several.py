"""What goes on around several trainings that become one network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ideitify.dataset import read_rows
from tests.training.conftest import with_rows
from training.__main__ import app
from training.settings import load_settings
from training.train import fit

SETTINGS = """
epochs = 1
train_size = 64
valid_size = 64
batch_size = 8
precision = "fp32"
valid_share = 0.25
runs = 2
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    return path


def test_several_runs_are_fitted_tracked_and_exported_by_one_command(
    drawn_dataset: Path,
    tiny_backbone: str,
    settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    run, out = tmp_path / "run", tmp_path / "out"
    command = ["fit", "--data", str(drawn_dataset), "--backbone", tiny_backbone]
    command += ["--settings", str(settings), "--run", str(run), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "bundle.json").read_text())["training"]["settings"]["runs"] == 2
    assert json.loads((run / "metrics.json").read_text())["final"]
    assert list((run / "wandb").glob("offline-run-*"))


def test_what_is_held_out_is_said_once_for_all_of_them(
    drawn_dataset: Path,
    tiny_backbone: str,
    settings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        row | {"split": "test" if row["group"] == "source-3" else "train"}
        for row in read_rows(drawn_dataset)
    ]
    data = with_rows(drawn_dataset, tmp_path / "data", rows)
    chosen = load_settings(settings, {"min_images": 8})
    fit(data, tiny_backbone, tmp_path / "run", chosen, cache=tmp_path / "cache")
    said = capsys.readouterr().err
    assert said.count("to train on") == 2
    assert said.count("9 pictures with split 'test' are kept out") == 1


def test_folds_of_several_trainings_are_refused_before_any_begins(
    drawn_dataset: Path, tiny_backbone: str, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    command = ["crossvalidate", "--data", str(drawn_dataset), "--backbone", tiny_backbone]
    result = CliRunner().invoke(
        app, [*command, "--settings", str(settings), "--out", str(out)], env={"COLUMNS": "500"}
    )
    assert result.exit_code == 2
    assert "one backbone and one run" in result.output
    assert not out.exists()
