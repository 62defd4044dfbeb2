"""A damaged run is named with what to do, whoever reads it; nothing of it is thrown away."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.training.conftest import BRIEF, Trained, regrouped
from training.__main__ import app

DAMAGES = [
    ("checkpoint.pth", b"", "checkpoint.pth is damaged; copy the run anew"),
    ("checkpoint.pth", b"hello", "checkpoint.pth is damaged; copy the run anew"),
    ("settings.json", b'{"backbone": ', "settings.json is damaged"),
    ("settings.json", b"\xff", "settings.json is damaged"),
    ("settings.json", b"[]", "settings.json is not what fit writes"),
    (
        "settings.json",
        b'{"backbone": "small", "fingerprint": "", "settings": {}}',
        "settings.json is from another version",
    ),
]
RECORD_DAMAGE = ("metrics.json", b'{"epochs": [', "metrics.json is damaged")


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return shutil.copytree(trained.run, tmp_path / "run")


def resume(trained: Trained, run: Path, data: Path | None = None) -> Result:
    settings = run.parent / "settings.toml"
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in BRIEF.items()))
    arguments = [
        "fit", "--data", str(data or trained.data), "--backbone", trained.backbone,
        "--run", str(run), "--out", str(run.parent / "out"), "--settings", str(settings),
        "--no-wandb", "--resume",
    ]  # fmt: skip
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "500"})


@pytest.mark.parametrize(("name", "content", "words"), DAMAGES)
def test_export_names_a_damaged_file(
    trained: Trained, run: Path, name: str, content: bytes, words: str
) -> None:
    (run / name).write_bytes(content)
    arguments = [
        "export", str(run), "--data", str(trained.data), "--backbone", trained.backbone,
        "--out", str(run.parent / "out"),
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(("name", "content", "words"), [*DAMAGES, RECORD_DAMAGE])
def test_resume_names_a_damaged_file_and_leaves_it(
    trained: Trained, run: Path, name: str, content: bytes, words: str
) -> None:
    (run / name).write_bytes(content)
    result = resume(trained, run)
    assert result.exit_code == 2
    assert words in result.output
    assert (run / name).read_bytes() == content


def test_resume_does_not_throw_a_checkpoint_away_whose_settings_are_lost(
    trained: Trained, run: Path
) -> None:
    (run / "settings.json").unlink()
    result = resume(trained, run)
    assert result.exit_code == 2
    assert "settings.json" in result.output
    assert (run / "checkpoint.pth").is_file()


def test_resume_refuses_what_was_trained_on_as_validation(
    trained: Trained, run: Path, tmp_path: Path
) -> None:
    result = resume(trained, run, regrouped(trained.data, tmp_path / "data"))
    assert result.exit_code == 2
    assert "was started with other sides of the split; resume with the same" in result.output
