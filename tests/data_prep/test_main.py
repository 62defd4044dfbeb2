"""The command line: help at once, one command per step, sentences for what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from data_prep.__main__ import COMMANDS, app
from data_prep.steps import STEPS, load_settings
from data_prep.table import read_table
from ideitify.dataset import write_rows
from ideitify.decisions import Decision, append_decisions
from tests.data_prep.pictures import save_dataset, scene

PROJECT = Path(__file__).parents[2]


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(app, arguments, prog_name="python -m data_prep")
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = {"ganesha/a.png": scene(1), "ganesha/b.png": scene(2).resize((80, 120))}
    return save_dataset(tmp_path, pictures).folder


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['data_prep', '--help']\n"
        "import runpy\n"
        "try: runpy.run_module('data_prep', run_name='__main__')\n"
        "finally: print('heavy:', sorted({'pandas', 'PIL', 'cv2', 'torch'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    for name in ("prepare", "status", "settings", *(step.name for step in STEPS), *COMMANDS):
        assert f"\n  {name} " in done.stdout, name
    assert "heavy: []" in done.stdout


def test_a_step_offers_the_options_that_it_takes() -> None:
    said = run("validate", "--help").stdout
    assert "Reject what is missing, damaged or useless" in said
    assert "Raises" not in said
    for option in ("--settings", "--force", "--engine", "--workers", "--address"):
        assert option in said
    assert "--bundle" not in said
    assert "--bundle" in run("quality", "--help").stdout
    assert "--engine" not in run("enrol", "--help").stdout


def test_steps_tell_what_they_did_and_status_tells_it_again(folder: Path) -> None:
    done = run("validate", str(folder), "--workers", "1")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "validate: ran (never ran); 1 kept, 1 review\n"
    again = run("validate", str(folder))
    assert again.stdout == "validate: skipped, nothing changed; 1 kept, 1 review\n"
    said = run("status", str(folder)).stdout
    assert said.startswith(f"{folder}: 2 pictures: 1 kept, 1 review\n")
    assert "  quality                         never ran\n" in said
    assert " up to date\n" in said
    assert said.endswith("       1 tiny\n")


def test_a_step_tells_which_later_ones_it_undid(folder: Path) -> None:
    run("validate", str(folder), "--workers", "1")
    run("balance", str(folder))
    append_decisions(folder, [Decision("", "Asha", "images/ganesha/a.png", "reject")])
    said = run("decisions", str(folder)).stdout
    assert said.endswith(
        f"undone: validate, balance; python -m data_prep prepare {folder} runs them again\n"
    )
    assert "undone" not in run("decisions", str(folder)).stdout


@pytest.mark.parametrize("site", ["kaggle", "hub"])
def test_what_is_half_prepared_is_not_published(folder: Path, site: str) -> None:
    run("validate", str(folder), "--workers", "1")
    append_decisions(folder, [Decision("", "Asha", "images/ganesha/a.png", "reject")])
    run("decisions", str(folder))
    done = run("publish", site, str(folder), "a/deities", "--title", "Deities", "--dry-run")
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: the table lacks the present result of validate: "
        f"run python -m data_prep prepare {folder} first\n"
    )


def test_status_counts_reasons_by_their_kind(tmp_path: Path) -> None:
    rows = [
        {"file_name": f"images/ganesha/{n}.png", "category": "ganesha", "status": "rejected",
         "reject_reason": f"near duplicate of images/ganesha/{n + 10}.png"}
        for n in range(3)
    ]  # fmt: skip
    write_rows(tmp_path, rows)
    said = run("status", str(tmp_path)).stdout
    assert said.endswith("       3 near duplicate\n")


def test_a_settings_file_is_used(folder: Path) -> None:
    (folder / "mine.toml").write_text("[validate]\ntiny_side = 50\n")
    run("validate", str(folder), "--workers", "1", "--settings", str(folder / "mine.toml"))
    assert list(read_table(folder).rows["status"]) == ["kept", "kept"]


def test_the_printed_settings_are_the_defaults_each_with_a_reason(tmp_path: Path) -> None:
    done = run("settings")
    assert done.exit_code == 0, done.stderr
    assert "# None" not in done.stdout, "every setting says why"
    assert list(tomllib.loads(done.stdout)) == [step.name for step in STEPS]
    file = tmp_path / "settings.toml"
    file.write_text(done.stdout)
    for step in STEPS:
        assert load_settings(file, step) == step.settings()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["valdate", "."], "No such command 'valdate'. Did you mean 'validate'?"),
        (["validate"], "Missing argument"),
        (["validate", "nowhere"], "Error: nowhere is not a dataset folder: it has no metadata.csv"),
        (["status", "nowhere"], "Error: nowhere is not a dataset folder"),
        (["validate", ".", "--engine", "spark"], "--engine"),
        (["validate", ".", "--workers", "0"], "--workers"),
        (["validate", ".", "--bundle", "x"], "No such option"),
    ],
)
def test_wrong_usage(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize("tool", ["label-studio", "zooniverse"])
def test_a_place_that_cannot_be_written_is_said_in_one_sentence(folder: Path, tool: str) -> None:
    done = run(tool, "export", str(folder), str(folder / "metadata.csv/tasks"))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: cannot read or write {folder}/metadata.csv")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--settings", "nowhere.toml"], "nowhere.toml cannot be read as TOML settings"),
        (["--engine", "ray", "--address", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    folder: Path, arguments: list[str], sentence: str
) -> None:
    done = run("validate", str(folder), *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert list(read_table(folder).rows["status"]) == ["kept", "kept"]
