from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from data_prep.labels import LabelsSettings, judge, labels
from data_prep.table import Table
from tests.data_prep.pictures import save_dataset
from tests.tiny import BLUE, GREEN, GREY, RED, picture

SETTINGS = LabelsSettings()


def clusters(count: int, categories: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings around a centre for each category, unit length, and their true labels."""
    rng = np.random.default_rng(seed)
    centres, truth = rng.normal(size=(categories, 32)), rng.integers(0, categories, count)
    vectors = centres[truth] + 0.8 * rng.normal(size=(count, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.array([f"c{number}" for number in truth], dtype=object)


def alone(count: int) -> pd.Series:
    """A group for each picture."""
    return pd.Series([f"p{number}" for number in range(count)])


def test_swapped_labels_rank_before_the_others() -> None:
    vectors, truth = clusters(600, 8)
    given, wrong = truth.copy(), np.zeros(600, bool)
    wrong[::20] = True
    given[wrong] = np.roll(truth, 1)[wrong]
    wrong &= given != truth
    judged = judge(vectors, given, alone(600), SETTINGS)
    assert average_precision_score(wrong, 1 - judged.scores) > 0.9
    assert judged.issues[wrong].mean() > 0.8
    assert judged.issues[~wrong].mean() < 0.05
    assert np.mean(judged.suggested[wrong] == truth[wrong]) > 0.9


def test_a_category_with_too_few_pictures_is_not_judged() -> None:
    vectors, truth = clusters(200, 4)
    truth[:3] = "rare"
    judged = judge(vectors, truth, alone(200), SETTINGS)
    assert np.isnan(judged.scores[:3]).all()
    assert not np.isnan(judged.scores[3:]).any()
    assert not judged.issues[:3].any()


def test_pictures_of_one_group_do_not_vouch_for_each_other() -> None:
    vectors, truth = clusters(300, 4)
    given = truth.copy()
    given[:6] = next(label for label in sorted(set(truth)) if label != truth[0])
    vectors[:6] = vectors[0] + 0.001 * np.arange(6)[:, None]
    apart = judge(vectors, given, alone(300), SETTINGS)
    together = judge(vectors, given, alone(300).where(lambda name: name.index >= 6, "g"), SETTINGS)
    assert together.scores[:6].max() < 0.5 * apart.scores[:6].min()


def test_a_single_category_cannot_be_judged() -> None:
    vectors, _ = clusters(50, 2)
    judged = judge(vectors, np.full(50, "zeus", dtype=object), alone(50), SETTINGS)
    assert np.isnan(judged.scores).all()


@pytest.mark.parametrize("count", [10, 12, 18, 20])
def test_few_pictures_are_judged_by_as_many_as_there_are(count: int) -> None:
    vectors, _ = clusters(count, 2)
    given = np.array(["athena", "ganesha"] * (count // 2), dtype=object)
    judged = judge(vectors, given, alone(count), SETTINGS)
    assert not np.isnan(judged.scores).any()


def test_fewer_groups_than_folds_are_enough() -> None:
    vectors, truth = clusters(40, 2)
    groups = pd.Series([f"{label} {number % 2}" for number, label in enumerate(truth)])
    judged = judge(vectors, truth, groups, SETTINGS)
    assert list(judged.suggested) == list(truth)


def test_a_category_of_fewer_pictures_than_folds_can_be_judged() -> None:
    vectors, truth = clusters(8, 4)
    few = LabelsSettings(least_pictures=2)
    truth[:] = ["a", "b"] * 4
    assert not np.isnan(judge(vectors, truth, alone(8), few).scores).any()


def test_groups_that_tie_two_categories_leave_something_to_learn_from() -> None:
    vectors, _ = clusters(4, 2)
    given = np.array(["a", "b", "b", "a"], dtype=object)
    few = LabelsSettings(least_pictures=2, folds=3)
    assert not np.isnan(judge(vectors, given, pd.Series(["3", "0", "2", "0"]), few).scores).any()


def test_a_category_of_one_group_is_not_judged() -> None:
    vectors, truth = clusters(200, 4)
    of_one = truth == truth[0]
    judged = judge(vectors, truth, alone(200).mask(of_one, "g"), SETTINGS)
    assert list(np.isnan(judged.scores)) == list(of_one)
    assert truth[0] not in judged.suggested
    two = truth < "c2"
    alike = alone(two.sum()).mask(truth[two] == "c0", "g")
    assert np.isnan(judge(vectors[two], truth[two], alike, SETTINGS).scores).all()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Colours are deities; one red picture is called Shiva, one green one Ganesha by a person."""
    pictures, rng = {}, np.random.default_rng(0)
    for category, colour in {"ganesha": RED, "shiva": GREEN, "krishna": BLUE}.items():
        for number in range(12):
            shade = tuple(int(abs(value - rng.integers(0, 70))) for value in colour)
            pictures[f"{category}/{number}.png"] = picture(shade, GREY)
    pictures["shiva/wrong.png"] = picture((250, 5, 5), GREY)
    pictures["ganesha/decided.png"] = picture((5, 250, 5), GREY)
    pictures["rare/one.png"] = picture((5, 5, 5), GREY)
    return save_dataset(tmp_path, pictures, {"ganesha/decided.png": {"decided_by": "asha"}})


def test_a_doubtful_label_goes_to_review_with_what_it_looks_like(
    table: Table, tiny_bundle: Path
) -> None:
    rows = labels(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    wrong = rows.loc["images/shiva/wrong.png"]
    assert wrong["status"] == "review"
    assert wrong["reject_reason"] == "label may be wrong: looks like ganesha"
    assert wrong["is_label_issue"] == "true"
    assert wrong["suggested_category"] == "ganesha"
    assert set(rows["status"].drop("images/shiva/wrong.png")) == {"kept"}


def test_what_a_person_decided_is_scored_but_not_doubted(table: Table, tiny_bundle: Path) -> None:
    rows = labels(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    decided = rows.loc["images/ganesha/decided.png"]
    assert float(decided["label_score"]) < 0.3
    assert decided["status"] == "kept"


def test_pictures_that_are_not_judged_have_no_score(table: Table, tiny_bundle: Path) -> None:
    table.path("images/krishna/0.png").write_bytes(b"broken")
    table.rows.loc["images/krishna/1.png", ["status", "reject_reason"]] = ["rejected", "dark"]
    rows = labels(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    for name in ("images/krishna/0.png", "images/krishna/1.png", "images/rare/one.png"):
        assert rows.at[name, "label_score"] == ""
    assert rows.at["images/krishna/1.png", "reject_reason"] == "dark"
