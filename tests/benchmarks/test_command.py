"""A benchmark's command tells what is wrong with its input, and how its sides ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run_command
from ideitify.dataset import read_dataset


def read(data: Path) -> None:
    read_dataset(data)


def ask_a_side(data: Path) -> None:
    subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)


def test_wrong_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        run_command(read)
    said = capsys.readouterr().err
    assert "has no metadata.csv" in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said


def test_a_side_that_failed_ends_it_with_its_own_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", str(tmp_path)])
    with pytest.raises(SystemExit, match="3"):
        run_command(ask_a_side)
    assert not capsys.readouterr().err, "the side has said why"


def test_help_is_the_commands_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(seeds: int = 3) -> None:
        """Print what was measured."""

    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    with pytest.raises(SystemExit, match="0"):
        run_command(main)
    said = capsys.readouterr().out
    assert "Print what was measured" in said
    assert "--seeds" in said
