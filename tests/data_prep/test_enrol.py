"""Pictures that somebody dropped into the folder get a row."""

from __future__ import annotations

import logging
import os
import sys
import unicodedata
from pathlib import Path

import pytest

from data_prep.enrol import EnrolSettings, enrol
from data_prep.table import Table
from tests.data_prep.pictures import save_dataset, scene


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return save_dataset(tmp_path, {"ganesha/a.png": scene(1)}, {"ganesha/a.png": {"mood": "calm"}})


def drop(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")


def test_a_file_without_a_row_goes_to_review_in_its_folder_s_category(table: Table) -> None:
    drop(table.folder, "images/shiva/नटराज 1.jpg")
    rows = enrol(table, EnrolSettings()).rows
    assert list(rows.index) == ["images/ganesha/a.png", "images/shiva/नटराज 1.jpg"]
    new = rows.loc["images/shiva/नटराज 1.jpg"]
    assert (new["category"], new["status"]) == ("shiva", "review")
    assert new["reject_reason"] == "file without a row in metadata.csv"
    assert new["mood"] == new["sha256"] == ""
    assert rows.loc["images/ganesha/a.png", "status"] == "kept"


def test_a_file_moved_by_hand_keeps_its_facts_and_takes_its_folder_s_category(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = "images/ganesha/a.png", "images/shiva/b.png"
    table.path(new).parent.mkdir()
    table.path(old).rename(table.path(new))
    with caplog.at_level(logging.INFO):
        rows = enrol(table, EnrolSettings()).rows
    assert rows.loc[new].to_dict() == rows.loc[old].to_dict() | {
        "category": "shiva", "label_source": "human",
    }  # fmt: skip
    assert rows.loc[new, ["mood", "status"]].to_list() == ["calm", "kept"]
    assert f"files moved by hand: 1, such as {new}, from {old}" in caplog.text


def test_another_picture_than_the_lost_one_takes_nothing_of_it(table: Table) -> None:
    table.path("images/ganesha/a.png").unlink()
    drop(table.folder, "images/shiva/a.png")
    new = enrol(table, EnrolSettings()).rows.loc["images/shiva/a.png"]
    assert (new["status"], new["mood"]) == ("review", "")


def test_a_copy_of_a_file_that_is_there_takes_nothing_of_it(table: Table) -> None:
    drop(table.folder, "images/shiva/a.png")
    copy = table.path("images/shiva/a.png")
    copy.write_bytes(table.path("images/ganesha/a.png").read_bytes())
    assert enrol(table, EnrolSettings()).rows.loc["images/shiva/a.png", "status"] == "review"


def test_nothing_to_add_changes_nothing(table: Table) -> None:
    before = table.rows.copy()
    assert enrol(table, EnrolSettings()).rows.equals(before)


def test_hidden_files_and_other_folders_are_none_of_it(table: Table) -> None:
    for name in ("images/ganesha/.DS_Store", "images/.cache/x.jpg", "notes/a.jpg", "cover.jpg"):
        drop(table.folder, name)
    assert len(enrol(table, EnrolSettings()).rows) == 1


def test_a_row_that_names_the_file_in_another_way_counts(table: Table) -> None:
    table.rows = table.rows.rename(index={"images/ganesha/a.png": "images/./ganesha/a.png"})
    assert len(enrol(table, EnrolSettings()).rows) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="others take both forms for one name")
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_in_another_form_of_unicode_is_given_its_row_s_name(
    table: Table, forms: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    name, stray = (unicodedata.normalize(form, "images/durgā/é.jpg") for form in forms)
    table.path("images/ganesha/a.png").unlink()
    table.rows = table.rows.rename(index={"images/ganesha/a.png": name})
    drop(table.folder, stray)
    with caplog.at_level(logging.INFO):
        assert list(enrol(table, EnrolSettings()).rows.index) == [name]
    assert table.path(name).read_bytes() == b"picture"
    assert "files renamed to the Unicode form of their rows: 1" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="others take both forms for one name")
def test_two_files_in_two_forms_of_unicode_stay_two(table: Table) -> None:
    name, stray = (unicodedata.normalize(form, "images/shiva/é.jpg") for form in ("NFC", "NFD"))
    table.rows = table.rows.rename(index={"images/ganesha/a.png": name})
    for file in (name, stray):
        drop(table.folder, file)
    assert [n for n in enrol(table, EnrolSettings()).rows.index if "shiva" in n] == [name, stray]


@pytest.mark.parametrize("name", ["images/a.jpg", "images/ganesha/old/a.jpg"])
def test_files_that_are_not_in_a_category_are_told_of(
    table: Table, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    drop(table.folder, name)
    with caplog.at_level(logging.INFO):
        assert len(enrol(table, EnrolSettings()).rows) == 1
    assert f"1 files are not in images/<category>/, or their names are not UTF-8: '{name}'" in (
        caplog.text
    )


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes only there")
def test_names_that_no_table_can_hold_are_told_of(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    with open(os.fsencode(table.folder) + b"/images/ganesha/\xff.jpg", "wb"):  # noqa: PTH123
        pass
    with caplog.at_level(logging.INFO):
        assert len(enrol(table, EnrolSettings()).rows) == 1
    assert "not UTF-8" in caplog.text
