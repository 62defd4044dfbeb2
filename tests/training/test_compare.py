"""Two bundles on the same pictures, paired."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ideitify.dataset import read_dataset
from tests.tiny import write_bundle
from tests.training.test_evaluate import run, write_dataset
from training.__main__ import app
from training.compare import mcnemar, sign_flip_test
from training.sides import seen_names


def test_mcnemar_counts_only_what_changed() -> None:
    first = np.array([True] * 50 + [True] * 1 + [False] * 9)
    second = np.array([True] * 50 + [False] * 1 + [True] * 9)
    test = mcnemar(first, second)
    assert (test.only_first, test.only_second) == (1, 9)
    assert test.p_value == pytest.approx(22 / 1024)  # two-sided binomial of 1 in 10
    assert mcnemar(first, first).p_value == 1.0


def test_the_sign_flips_of_single_pictures_are_nearly_mcnemars_test() -> None:
    first = np.array([True] * 50 + [True] * 1 + [False] * 9)
    second = np.array([True] * 50 + [False] * 1 + [True] * 9)
    one_each, one_for_all = np.arange(60), np.zeros(60, int)
    assert sign_flip_test(first, second, one_each) == pytest.approx(22 / 1024, abs=0.005)
    assert sign_flip_test(first, second, one_for_all) == pytest.approx(22 / 1024, abs=0.005)
    assert sign_flip_test(first, first, one_each) == 1.0


def test_what_one_source_gained_is_no_evidence_however_many_its_pictures() -> None:
    first, second = np.zeros(60, bool), np.arange(60) < 30
    assert mcnemar(first, second).p_value < 1e-6
    assert sign_flip_test(first, second, np.arange(60) // 30) == 1.0


def test_of_bundles_that_do_not_differ_the_test_by_source_calls_few_different() -> None:
    rng, groups, draws = np.random.default_rng(0), np.repeat(np.arange(50), 10), 1000
    by_source, by_picture = [], []
    for _ in range(draws):  # a source is easy or hard for each bundle, by the same chance
        first, second = rng.random((2, 500)) < rng.choice([0.55, 0.85], (2, 50)).repeat(10, axis=1)
        by_source.append(sign_flip_test(first, second, groups, flips=500) < 0.05)
        by_picture.append(mcnemar(first, second).p_value < 0.05)
    assert np.mean(by_source) == pytest.approx(0.05, abs=0.02)  # three standard errors
    assert np.mean(by_picture) > 0.1


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
    assert "p = 1 by source, exact McNemar p = 1 by picture" in said
    assert json.loads((tmp_path / "c.json").read_text())["pictures"] == 9


def test_what_the_pictures_are_is_kept_with_the_figures(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    write_bundle(tmp_path / "first")
    write_bundle(tmp_path / "second")
    manifest = json.loads((tmp_path / "second" / "bundle.json").read_text())
    manifest["training"]["seen"] = seen_names(read_dataset(data)[:2])
    (tmp_path / "second" / "bundle.json").write_text(json.dumps(manifest))
    words = "2 of which the bundle was made of: the figures flatter"
    doubt = "it is not known which pictures tiny was trained on: figures may flatter"
    said = run(
        "compare", tmp_path / "first", tmp_path / "second", "--data", data, "--split", "all",
        "--out", tmp_path / "c.json",
    )  # fmt: skip
    kept = json.loads((tmp_path / "c.json").read_text())["pictures_are"]
    assert words in kept
    assert doubt in kept
    assert kept in said


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    words = ["compare", str(tmp_path), str(tmp_path), "--data", str(data)]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "is not a model bundle" in result.output
