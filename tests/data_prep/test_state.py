"""What a step did can be written down, read and taken back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.state import (
    State,
    StateError,
    as_text,
    difference,
    fingerprint,
    is_in,
    read_changes,
    read_state,
    take_back,
    write_changes,
    write_state,
)

NAMES = ["images/a/1.jpg", "images/a/2.jpg", "images/b/गणेश.jpg"]
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
CELLS = st.lists(CELL, min_size=3, max_size=3)


def rows(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index(NAMES, name="file_name"), dtype=str)


@given(before=CELLS, after=CELLS, added=CELLS)
def test_taking_back_undoes_whatever_was_done(
    before: list[str], after: list[str], added: list[str]
) -> None:
    old = rows(status=before, title=["x", "y", "z"])
    new = rows(status=after, title=["x", "y", "z"], score=added)
    pd.testing.assert_frame_equal(take_back(new, difference(old, new)), old)


@given(before=CELLS, after=CELLS)
def test_changes_survive_their_file(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    changes = difference(rows(title=before), rows(title=after, score=after))
    write_changes(folder, "quality", changes)
    pd.testing.assert_frame_equal(read_changes(folder, "quality"), changes, check_dtype=False)


def test_a_cell_that_was_changed_again_since_stays() -> None:
    old, new = rows(status=["kept"] * 3), rows(status=["review", "review", "kept"])
    changes = difference(old, new)
    new.loc[NAMES[0], "status"] = "rejected"
    assert list(take_back(new, changes)["status"]) == ["rejected", "kept", "kept"]


def test_rows_that_are_gone_or_new_do_not_matter() -> None:
    changes = difference(rows(status=["kept"] * 3), rows(status=["review"] * 3))
    now = pd.DataFrame({"status": ["review", "kept"]}, index=[NAMES[1], "images/c/new.jpg"])
    assert list(take_back(now, changes)["status"]) == ["kept", "kept"]


def test_changes_are_in_a_table_with_its_columns_and_one_of_its_cells_or_every_one() -> None:
    old = rows(status=["kept"] * 3)
    new = rows(status=["review", "rejected", "kept"], score=["1", "2", "3"])
    changes = difference(old, new)
    assert is_in(new, changes, every=True)
    assert not is_in(old, changes)
    assert not is_in(new.drop(columns="score"), changes)
    assert not is_in(old.assign(score=""), changes)
    new.loc[NAMES[0], "status"] = "kept"
    assert is_in(new, changes)
    assert not is_in(new, changes, every=True)
    assert is_in(new.drop(index=NAMES[0]), changes, every=True), "its row is gone"


def test_every_cell_becomes_text() -> None:
    table = rows(title=["a", "b", "c"])
    table["score"] = [0.123456789, np.float32(0.5), np.nan]
    table["is_issue"] = pd.Series([True, np.False_, None], table.index, dtype=object)
    table["width"] = [1, 20, 300]
    assert as_text(table).to_numpy().tolist() == [
        ["a", "0.123457", "true", "1"],
        ["b", "0.5", "false", "20"],
        ["c", "", "", "300"],
    ]


def test_the_fingerprint_knows_cells_and_names_but_not_the_order_of_columns() -> None:
    table = rows(a=["1", "2", "3"], b=["4", "5", "6"])
    assert fingerprint(table) == fingerprint(table[["b", "a"]])
    assert fingerprint(table) != fingerprint(table.rename(columns={"a": "c"}))
    assert fingerprint(table) != fingerprint(table.rename(index={NAMES[0]: "other"}))
    assert fingerprint(table) != fingerprint(rows(a=["1", "2", "3"], b=["4", "5", "7"]))


@pytest.mark.parametrize("content", ["", "{", '{"runs": 3}', "\xff"])
def test_a_damaged_state_is_told(tmp_path: Path, content: str) -> None:
    write_state(tmp_path, State())
    (tmp_path / ".data_prep/state.json").write_text(content, "latin-1")
    with pytest.raises(StateError, match=r"state\.json is damaged: delete it"):
        read_state(tmp_path)


def test_a_state_of_a_later_version_is_told(tmp_path: Path) -> None:
    write_state(tmp_path, State(format=2))
    with pytest.raises(StateError, match="has format 2: update the project"):
        read_state(tmp_path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\n"])
def test_damaged_changes_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".data_prep").mkdir()
    (tmp_path / ".data_prep/quality.changes.csv").write_bytes(content)
    with pytest.raises(StateError, match=r"quality\.changes\.csv is damaged"):
        read_changes(tmp_path, "quality")
