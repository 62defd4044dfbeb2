"""Every picture is decoded once: what was seen is kept for as long as the file is the same."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from data_prep.pixels import measure, signatures
from data_prep.table import Table
from tests.data_prep.pictures import save_dataset, scene

NAMES = [f"ganesha/{number}.jpg" for number in range(5)]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return save_dataset(tmp_path, {name: scene(seed) for seed, name in enumerate(NAMES)})


def test_the_table_s_order_with_facts_and_measures(table: Table) -> None:
    (table.folder / "images" / NAMES[1]).write_bytes(b"broken")
    seen = measure(table, workers=2)
    assert list(seen.index) == list(table.rows.index)
    assert list(seen["refusal"]) == ["", "not_an_image", "", "", ""]
    assert list(seen["width"]) == [320, 0, 320, 320, 320]
    assert np.isnan(seen["entropy"].iloc[1])
    assert (seen["entropy"].drop(seen.index[1]) > 1).all()


@pytest.mark.usefixtures("flawed_decoder")
def test_a_picture_that_ends_the_process_is_refused_and_the_others_are_kept(table: Table) -> None:
    (table.folder / "images" / NAMES[3]).write_bytes(b"GIF89a" + bytes(100))
    seen = measure(table, workers=2)
    assert list(seen["refusal"]) == ["", "", "", "fatal", ""]
    assert (seen["entropy"].drop(seen.index[3]) > 1).all()


def test_what_is_known_is_not_opened_again(table: Table) -> None:
    first = measure(table, workers=1)
    for name in NAMES:  # what is no picture any more, under the size and time that are known
        path = table.folder / "images" / name
        facts = path.stat()
        path.write_bytes(bytes(facts.st_size))
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert measure(table, workers=1).equals(first)


def test_a_file_that_changed_is_looked_at_again(table: Table) -> None:
    first = measure(table, workers=1)
    scene(99).save(table.folder / "images" / NAMES[2])
    second = measure(table, workers=1)
    assert second["sha256"].iloc[2] != first["sha256"].iloc[2]
    assert second.drop(second.index[2]).equals(first.drop(first.index[2]))


def test_a_refused_picture_is_tried_again(table: Table) -> None:
    path = table.folder / "images" / NAMES[0]
    content = path.read_bytes()
    path.unlink()
    assert measure(table, workers=1)["refusal"].iloc[0] == "missing"
    path.write_bytes(content)
    assert measure(table, workers=1)["refusal"].iloc[0] == ""


def test_measures_of_other_code_do_not_count(table: Table) -> None:
    measure(table, workers=1)
    with closing(sqlite3.connect(table.folder / ".data_prep/pixels.sqlite")) as cache:
        cache.execute("PRAGMA user_version = 99")
    with pytest.raises(KeyError):
        next(signatures(table, NAMES))


def test_signatures_are_small_grey_squares(table: Table) -> None:
    measure(table, workers=1)
    first, second = signatures(table, list(table.rows.index[:2]))
    assert first.shape == second.shape == (96, 96)
    assert first.std() > 5
    assert not np.array_equal(first, second)


def test_a_damaged_cache_is_told_with_what_to_do(table: Table) -> None:
    measure(table, workers=1)
    path = table.folder / ".data_prep/pixels.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match=r"it only saves time, and may be deleted") as raised:
        measure(table, workers=1)
    assert raised.value.filename == str(path)
