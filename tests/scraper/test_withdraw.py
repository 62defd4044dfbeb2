"""A withdrawn picture is gone from the folder and stays away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ideitify.dataset import read_rows
from scraper.export import export
from scraper.ledger.database import LedgerError
from scraper.withdraw import withdraw
from tests.scraper.collecting import (
    EVERYTHING,
    add,
    asked,
    assert_consistent,
    collection,
    fetch,
    files_in,
)
from tests.scraper.museum import Museum


def test_its_file_and_its_row_go_and_nothing_else(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:3]) as ledger:
        fetch(ledger, tmp_path)
        export(ledger, tmp_path)
        (name,) = withdraw(ledger, tmp_path, museum.url("picture/1.jpg"))
        assert name not in files_in(tmp_path)
    assert name not in {row["file_name"] for row in read_rows(tmp_path)}
    assert len(read_rows(tmp_path)) == len(files_in(tmp_path)) == 2
    assert_consistent(tmp_path)


def test_it_is_never_fetched_again_nor_stored_from_elsewhere(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        add(ledger, [museum.url(f"{way}/0.jpg") for way in ("picture", "copy", "png")])
        assert fetch(ledger, tmp_path, replace(EVERYTHING, again=True)) == {"withdrawn": 2}
        assert asked(museum) == {"/picture/0.jpg": 1, "/copy/0.jpg": 1, "/png/0.jpg": 1}
        assert ledger.stored() == []
    assert_consistent(tmp_path)


def test_a_page_takes_all_its_pictures_with_it(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:2]) as ledger:
        fetch(ledger, tmp_path)
        assert len(withdraw(ledger, tmp_path, f"{museum.url('picture/1.jpg')}?page")) == 1
    assert len(files_in(tmp_path)) == 1


def test_it_can_be_repeated(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        names = withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        assert withdraw(ledger, tmp_path, museum.url("picture/0.jpg")) == names


def test_a_file_that_came_back_is_removed_by_the_next_run(museum: Museum, tmp_path: Path) -> None:
    """As if it was on its way to its place while it was withdrawn."""
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        (name,) = withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        (tmp_path / name).write_bytes(b"late")
        fetch(ledger, tmp_path)
    assert_consistent(tmp_path)


def test_an_unknown_id_is_an_error_that_helps(tmp_path: Path) -> None:
    with collection(tmp_path) as ledger, pytest.raises(LedgerError, match="give its address"):
        withdraw(ledger, tmp_path, "met:1")
