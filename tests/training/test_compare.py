"""Two bundles on the same pictures, paired."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny import write_bundle
from tests.training.test_evaluate import run, write_dataset
from training.__main__ import app
from training.compare import mcnemar


def test_mcnemar_counts_only_what_changed() -> None:
    first = np.array([True] * 50 + [True] * 1 + [False] * 9)
    second = np.array([True] * 50 + [False] * 1 + [True] * 9)
    test = mcnemar(first, second)
    assert (test.only_first, test.only_second) == (1, 9)
    assert test.p_value == pytest.approx(22 / 1024)  # two-sided binomial of 1 in 10
    assert mcnemar(first, first).p_value == 1.0


def test_a_bundle_that_knows_less_loses_its_class(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    write_bundle(tmp_path / "first")
    write_bundle(tmp_path / "second", ["ganesha", "none", "shiva"])
    said = run(
        "compare", tmp_path / "first", tmp_path / "second", "--data", data,
        "--out", tmp_path / "c.json",
    )  # fmt: skip
    assert "on 9 pictures" in said  # those that are labels of both
    said = run("compare", tmp_path / "first", tmp_path / "first", "--data", data)
    assert "accuracy +0.000 (+0.000 to +0.000)" in said
    assert "McNemar p = 1" in said
    assert (tmp_path / "c.json").is_file()


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    words = ["compare", str(tmp_path), str(tmp_path), "--data", str(data)]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "is not a model bundle" in result.output
