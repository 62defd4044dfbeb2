from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.table import Table, read_table
from ideitify.dataset import DatasetError, write_rows


@pytest.fixture
def table(tmp_path: Path) -> Table:
    statuses = {"kept": "kept", "out": "rejected", "doubtful": "review", "decided": "kept"}
    rows = [
        {"file_name": name, "category": "zeus", "status": status, "reject_reason": "before",
         "decided_by": "asha" if name == "decided" else ""}
        for name, status in statuses.items()
    ]  # fmt: skip
    write_rows(tmp_path, rows)
    return read_table(tmp_path)


def marked(table: Table) -> dict[str, tuple[str, str]]:
    columns = table.rows[["status", "reject_reason"]]
    return {str(name): (status, reason) for name, status, reason in columns.itertuples()}


def test_rejecting_keeps_the_first_reason_and_what_a_person_decided(table: Table) -> None:
    table.reject_all({name: f"now {name}" for name in table.rows.index})
    assert marked(table) == {
        "kept": ("rejected", "now kept"),
        "out": ("rejected", "before"),
        "doubtful": ("rejected", "now doubtful"),
        "decided": ("kept", "before"),
    }


def test_what_is_of_no_use_is_rejected_though_a_person_kept_it(table: Table) -> None:
    table.reject_all({"decided": "file is missing", "out": "now out"}, though_decided=True)
    assert marked(table)["decided"] == ("rejected", "file is missing")
    assert marked(table)["out"] == ("rejected", "before")


def test_doubting_touches_only_kept_pictures_that_nobody_decided(table: Table) -> None:
    table.doubt_all({name: f"now {name}" for name in table.rows.index})
    assert marked(table) == {
        "kept": ("review", "now kept"),
        "out": ("rejected", "before"),
        "doubtful": ("review", "before"),
        "decided": ("kept", "before"),
    }


def test_one_picture_and_none_are_marked_alike(table: Table) -> None:
    table.reject("kept", "dark")
    table.doubt_all({})
    assert marked(table)["kept"] == ("rejected", "dark")
    assert marked(table)["decided"] == ("kept", "before")


def test_a_picture_that_is_not_in_the_table_is_an_error(table: Table) -> None:
    with pytest.raises(KeyError):
        table.reject("gone", "dark")


def test_what_was_marked_is_saved(table: Table) -> None:
    table.doubt("kept", "blurry")
    table.save()
    assert marked(read_table(table.folder)) == marked(table)


def test_a_dataset_without_rows_says_what_to_do(tmp_path: Path) -> None:
    write_rows(tmp_path, [])
    with pytest.raises(DatasetError, match="lists no picture"):
        read_table(tmp_path)
