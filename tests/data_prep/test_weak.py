"""Weak opinions are weighed; the sure are accepted, the rest goes to people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_prep.table import Table, read_table
from data_prep.weak import WeakSettings, Weighed, describe, unseen_labels, weak, weigh
from ideitify.bundle import read_manifest
from ideitify.dataset import write_rows
from tests.tiny import BLUE, GREEN, RED, VIOLET, picture, write_bundle

COLOURS = {"ganesha": RED, "shiva": GREEN, "krishna": BLUE}
QUICK = WeakSettings(epochs=100, neighbours=3)


@pytest.fixture
def table(tmp_path) -> Table:
    """Thirty pictures that a person labelled; sixty of the harvest, six of them found by mistake.

    The model of the tests sees the colours rightly, so a mistaken query stands alone.
    """
    rows = []
    for number in range(90):
        category = list(COLOURS)[number % 3]
        name = f"images/{category}/{number:02}.png"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shade = tuple(max(0, value - number) for value in COLOURS[category])
        picture(shade).save(tmp_path / name)
        row = {"file_name": name, "category": category, "group": f"g{number}", "source": "met"}
        if number < 30:
            rows.append(
                row | {"label_source": "human", "split": "valid" if number < 12 else "train"}
            )
            continue
        wrong = number % 10 == 0
        query = list(COLOURS)[(number + wrong) % 3]
        rows.append(row | {
            "category": query, "query": query, "label_source": "scraper",
            "title": f"{category.title()} statue" if number % 2 else "Untitled",
        })  # fmt: skip
    write_rows(tmp_path, rows)
    return read_table(tmp_path)


def truth(table: Table) -> pd.Series:
    return pd.Series([name.split("/")[1] for name in table.rows.index], table.rows.index)


def test_the_harvest_s_mistakes_are_found(table: Table, tiny_bundle) -> None:
    people = table.rows[table.rows["label_source"] == "human"].copy()
    mistaken = table.rows.index[table.rows["category"] != truth(table)]
    weak(table, QUICK, bundle=str(tiny_bundle))
    rows = table.rows
    accepted = rows[rows["label_source"] == "weak"]
    assert len(accepted) > 30
    assert (accepted["category"] == truth(table)[accepted.index]).all()
    assert (rows.loc[mistaken, "weak_category"] == truth(table)[mistaken]).all()
    assert "query: met=" in rows.loc[mistaken[0], "weak_votes"]
    assert rows.loc[people.index, list(people)].equals(people)


def test_what_is_not_sure_goes_to_people_with_the_guesses(table: Table, tiny_bundle) -> None:
    name = table.rows.index[40]
    picture(VIOLET).save(table.path(name))  # the model is unsure between two
    table.rows.loc[name, ["query", "title", "group"]] = ["", "", "g0"]
    weak(table, WeakSettings(epochs=100, neighbours=30, accept=1.0), bundle=str(tiny_bundle))
    row = table.rows.loc[name]
    assert row["status"] == "review"
    assert row["reject_reason"].startswith("weak: ")
    assert row["label_source"] == "scraper"


def test_what_people_or_earlier_steps_decided_stays(table: Table, tiny_bundle) -> None:
    rejected, doubted = table.rows.index[[40, 41]]
    table.reject(rejected, "blurry")
    table.doubt(doubted, "duplicates: two names")
    weak(table, QUICK, bundle=str(tiny_bundle))
    assert list(table.rows.loc[rejected, ["status", "weak_category"]]) == ["rejected", ""]
    assert table.rows.loc[doubted, "reject_reason"] == "duplicates: two names"
    assert table.rows.loc[doubted, "guesses"]


def test_accuracy_is_measured_on_labels_that_no_function_was_built_from(
    table: Table, tiny_bundle, tmp_path
) -> None:
    table.rows["sha256"] = [f"{number:012}" + 52 * "0" for number in range(len(table.rows))]
    table.rows.loc[table.rows.index[20], "sha256"] = ""
    trained = [f"{number:012}" for number in (*range(12, 20), *range(21, 29))]
    bundle = write_bundle(tmp_path / "made", training={"seen": trained})
    table.rows["split"] = "valid"  # whoever trains chooses a side of their own
    unseen = unseen_labels(table, read_manifest(bundle))
    assert set(np.flatnonzero(unseen)) == {*range(12), 29}
    assert not unseen_labels(table, read_manifest(tiny_bundle)).any(), "nobody knows"
    weak(table, QUICK, bundle=str(bundle))
    figures = pd.read_csv(table.folder / ".data_prep" / "weak.csv", index_col="function")
    assert figures.loc["model", "measured"] == 13
    assert figures.loc["model", "accuracy"] == 1
    assert figures.loc["title", "measured"] == 0
    assert np.isnan(figures.loc["title", "accuracy"])
    assert figures.loc["query: met", "conflicts"] > 0


def test_figures_are_snorkel_s_with_accuracy() -> None:
    weighed = Weighed(
        ["one", "two"], ["a", "b"],
        np.array([[0, 0], [0, 1], [-1, 1], [-1, -1]]),
        np.array([[0.95, 0.05], [0.5, 0.5], [0.2, 0.8], [0, 0]]),
    )  # fmt: skip
    figures = describe(weighed, ["a", "b", "", ""], WeakSettings())
    assert list(figures.loc["one", ["coverage", "overlaps", "conflicts"]]) == [0.5, 0.5, 0.25]
    assert list(figures.loc["one", ["measured", "accuracy"]]) == [2, 0.5]
    assert list(figures.loc["accepted", ["coverage", "measured", "accuracy"]]) == [0.25, 1, 1]
    assert 0 < figures.loc["accepted", "low"] < 1


def test_too_few_opinions_label_nothing(table: Table, caplog, tiny_bundle) -> None:
    caplog.set_level("INFO", "data_prep")
    table.rows[["query", "title"]] = ""
    before = table.rows.copy()
    weak(table, QUICK, bundle=str(tiny_bundle))
    assert table.rows[before.columns].equals(before)
    assert "nothing labelled" in caplog.text


def test_with_labels_from_people_only_there_is_nothing_to_do(table: Table, tiny_bundle) -> None:
    table.rows["label_source"] = "human"
    before = table.rows.copy()
    weak(table, QUICK, bundle=str(tiny_bundle))
    assert table.rows.equals(before)


def test_the_same_input_gives_the_same_probabilities(table: Table) -> None:
    frame = table.rows.assign(model=truth(table), neighbours="")
    one, other = (weigh(frame, QUICK) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.probabilities, other.probabilities)
    assert np.allclose(one.probabilities.sum(axis=1), 1)
