"""A file is there whole or not at all."""

import multiprocessing
import os
from pathlib import Path

import pytest

from ideitify.files import replacing, sha256_of, write_whole


def test_a_file_takes_its_place_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as partial:
        partial.write_text("half गणेश", encoding="ascii")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half_and_die(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        os._exit(1)


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("old")
    process = multiprocessing.get_context("spawn").Process(target=_write_half_and_die, args=[path])
    process.start()
    process.join(60)
    assert process.exitcode == 1
    assert path.read_text() == "old"


def test_a_missing_folder_is_not_made_for_a_name_that_may_be_mistyped(tmp_path: Path) -> None:
    path = tmp_path / "mistyped" / "answers.csv"
    with pytest.raises(FileNotFoundError), replacing(path) as partial:
        partial.write_text("answers")
    assert not path.parent.exists()


def test_text_is_written_as_it_is_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "state" / "गणेश.csv"
    write_whole(path, "a\r\nगणेश\n")
    assert path.read_bytes() == "a\r\nगणेश\n".encode()


def test_a_file_is_hashed_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")
