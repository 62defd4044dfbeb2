"""Scores that tell what was not trained, on embeddings that can be pictured."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ideitify.bundle import Manifest
from ideitify.dataset import DatasetError, Picture
from tests.tiny import manifest, write_bundle
from tests.training.conftest import Trained
from training.__main__ import app
from training.open_set import COMBINATION, SHIPPED, compare_scores, table
from training.predictions import Predictions

LABELS = ["ganesha", "none", "shiva"]
DIRECTIONS = {"ganesha": (1, 0, 0), "shiva": (0, 1, 0), "none": (0, 0, 1), "zeus": (-1, -1, 0)}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = write_bundle(tmp_path_factory.mktemp("bundle") / "b", LABELS)
    return Manifest.model_validate(manifest(folder, LABELS))


def said_of(facts: Manifest, categories: list[str], each: int = 20) -> Predictions:
    """Pictures around the direction of their category; logits are 6 times the embedding."""
    rng = np.random.default_rng(0)
    names = np.repeat(categories, each)
    near = np.array([DIRECTIONS[name] for name in names]) + rng.normal(0, 0.25, (len(names), 3))
    embeddings = near / np.linalg.norm(near, axis=1, keepdims=True)
    kinds = {"none": {"kind": "figurine"}}
    pictures = [
        Picture(Path(f"{i}.jpg"), str(name), f"s{i % 7}", kinds.get(name, {}))
        for i, name in enumerate(names)
    ]
    return Predictions(pictures, facts, 6 * embeddings[:, [0, 2, 1]], embeddings)


def test_every_score_is_judged_on_every_question(facts: Manifest) -> None:
    known = said_of(facts, LABELS)
    rows = compare_scores(known, known, said_of(facts, ["zeus"]), draws=20)
    by = {(row.question, row.score): row for row in rows}
    assert {q for q, _ in by} == {"`none`", "`none`: figurine", "unknown deities"}
    assert by["`none`", SHIPPED].auroc.value > 0.99
    assert by["`none`", SHIPPED].against_shipped.value == 0
    assert by["`none`", SHIPPED].auroc.pictures == 20
    # a Greek far from both is told by its distance and its energy
    for score in ("nearest neighbour, deities", "energy of deities", COMBINATION):
        assert by["unknown deities", score].auroc.value > 0.95
    assert len(table(rows)) == 2 + len(rows)


def test_both_sides_are_needed(facts: Manifest) -> None:
    alone = said_of(facts, ["ganesha", "shiva"])
    with pytest.raises(DatasetError, match="need pictures of `none`"):
        compare_scores(alone, alone, None)


def test_unknown_deities_of_one_source_cannot_be_cross_fitted(facts: Manifest) -> None:
    known, unknown = said_of(facts, LABELS), said_of(facts, ["zeus"])
    one = [Picture(p.path, p.category, "s0", p.columns) for p in unknown.pictures]
    unknown = Predictions(one, facts, unknown.logits, unknown.embeddings)
    with pytest.raises(DatasetError, match="add other sources"):
        compare_scores(known, known, unknown, draws=2)


def test_a_validation_side_of_one_source_is_explained(trained: Trained) -> None:
    command = ["open-set", str(trained.bundle), "--data", str(trained.data)]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "pictures of one source cannot be cross-fitted" in result.output


def test_another_data_set_is_refused_without_advice_that_the_command_lacks(
    trained: Trained, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained.data, other)
    with (other / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [row | {"sha256": row["sha256"][::-1]} for row in csv.DictReader(file)]
    with (other / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    command = ["open-set", str(trained.bundle), "--data", str(other)]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert f"{other} has no picture that {trained.bundle} says it was trained on" in result.output
    assert "--split" not in result.output
