"""A dataset folder is read as its metadata says; what is wrong with it is named by line."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from ideitify.dataset import COLUMNS, DatasetError, fingerprint, read_dataset


def write_dataset(folder: Path, *rows: dict[str, str], files: bool = True) -> Path:
    """Write `metadata.csv` with the columns of the first row, and a small file for each row."""
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows if files else ():
        path = folder / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["file_name"].encode())
    return folder


def row(name: str, category: str = "ganesha", **columns: str) -> dict[str, str]:
    return {"file_name": f"images/{category}/{name}.jpg", "category": category, **columns}


def test_pictures_come_in_file_order_with_their_rows(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("b", creator="Ravi Varma"), row("a", "none", creator=""))
    first, second = read_dataset(tmp_path)
    assert first.path == tmp_path / "images/ganesha/b.jpg"
    assert first.category == "ganesha"
    assert first.columns["creator"] == "Ravi Varma"
    assert second.category == "none"


def test_the_columns_begin_as_the_image_folder_convention_wants() -> None:
    assert COLUMNS[:2] == ("file_name", "category")
    assert len(set(COLUMNS)) == len(COLUMNS) == 23


def test_two_columns_are_enough(tmp_path: Path) -> None:
    assert len(read_dataset(write_dataset(tmp_path, row("a"), row("b")))) == 2


def test_only_rows_of_the_status_are_read(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", status="kept"), row("b", status="rejected"))
    assert [picture.path.stem for picture in read_dataset(tmp_path)] == ["a"]
    assert [picture.path.stem for picture in read_dataset(tmp_path, "rejected")] == ["b"]


def test_machine_made_pictures_are_read_only_when_asked_for(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", source="museum"), row("b", source="synthetic"))
    assert [picture.path.stem for picture in read_dataset(tmp_path)] == ["a"]
    (made,) = read_dataset(tmp_path, synthetic=True)
    assert (made.path.stem, made.is_synthetic) == ("b", True)


def test_a_folder_of_nothing_but_machine_made_pictures_is_no_data_set(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", source="synthetic"))
    with pytest.raises(DatasetError, match="lists no picture"):
        read_dataset(tmp_path)


def test_rejected_rows_need_no_file(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", status="kept"), row("b", status="rejected"))
    (tmp_path / "images/ganesha/b.jpg").unlink()
    assert len(read_dataset(tmp_path)) == 1


def test_a_picture_without_group_is_its_own(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", group="g1"), row("b", group=""))
    assert [p.group for p in read_dataset(tmp_path)] == ["g1", "images/ganesha/b.jpg"]


def test_names_in_any_script_and_a_byte_order_mark(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("गणेश की मूर्ति, 1"))
    metadata = tmp_path / "metadata.csv"
    metadata.write_bytes(b"\xef\xbb\xbf" + metadata.read_bytes())
    assert read_dataset(tmp_path)[0].path.stem == "गणेश की मूर्ति, 1"


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_no_metadata(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DatasetError, match=r"is not a dataset folder: it has no metadata\.csv"):
        read_dataset(tmp_path / folder)


def test_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes("file_name,category\nä.jpg,x\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"is not UTF-8 .* save it as UTF-8 CSV"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("column", ["file_name", "category"])
def test_a_missing_column(tmp_path: Path, column: str) -> None:
    metadata = write_dataset(tmp_path, row("a")) / "metadata.csv"
    metadata.write_text(metadata.read_text().replace(column, "other"))
    with pytest.raises(DatasetError, match=rf"lacks the column\(s\) {column}"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("text", ["", "file_name,category\n"])
def test_no_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(DatasetError, match="lists no picture with status 'kept'"):
        read_dataset(tmp_path)


def test_no_row_of_the_status(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", status="rejected"))
    with pytest.raises(DatasetError, match="lists no picture with status 'kept'"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a.jpg", "images/../../a.jpg", "a\\b.jpg"])
def test_a_file_outside_the_folder(tmp_path: Path, name: str) -> None:
    write_dataset(tmp_path, {"file_name": name, "category": "ganesha"}, files=False)
    with pytest.raises(
        DatasetError, match=r"line 2: file_name .* must be a path inside the folder"
    ):
        read_dataset(tmp_path)


def test_no_category(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a"), {"file_name": "b.jpg", "category": ""})
    with pytest.raises(DatasetError, match=r"line 3: b\.jpg has no category"):
        read_dataset(tmp_path)


def test_two_columns_of_one_name_are_refused_before_one_is_lost(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,category,mood,mood\na.jpg,zeus,calm,\n")
    with pytest.raises(DatasetError, match="two columns 'mood'; rename or remove one"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("line", ["images/ganesha/a.jpg", "images/ganesha/a.jpg,x,kept,more"])
def test_a_row_of_another_length(tmp_path: Path, line: str) -> None:
    """A file that was cut off in the middle must not pass as a smaller dataset."""
    metadata = write_dataset(tmp_path, row("a", status="kept")) / "metadata.csv"
    metadata.write_text(metadata.read_text() + line)
    with pytest.raises(DatasetError, match="line 3 has not as many fields as the header"):
        read_dataset(tmp_path)


def test_a_file_that_is_not_csv(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,category\n" + "x" * 200_000)
    with pytest.raises(DatasetError, match="is not CSV: field larger than field limit"):
        read_dataset(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a"))
    (tmp_path / "images/ganesha/a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"line 2: images/ganesha/a\.jpg does not exist"):
        read_dataset(tmp_path)


def test_a_file_listed_twice(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a"), row("b"), row("a"))
    with pytest.raises(DatasetError, match=r"line 4: images/ganesha/a\.jpg is listed twice"):
        read_dataset(tmp_path)


def test_a_line_break_in_a_field_does_not_shift_the_line_that_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, row("a", title="two\nlines"), row("b", title=""))
    (tmp_path / "images/ganesha/b.jpg").unlink()
    with pytest.raises(DatasetError, match="line 4: "):
        read_dataset(tmp_path)


def test_the_fingerprint_ignores_order_folder_and_file_names(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = read_dataset(write_dataset(tmp_path / "one", row("a"), row("b", "none")))
    two = read_dataset(write_dataset(tmp_path / "two", row("y", "none"), row("x")))
    for picture, twin in zip(one, reversed(two), strict=True):
        twin.path.write_bytes(picture.path.read_bytes())
    assert fingerprint(one) == fingerprint(two)


def test_the_fingerprint_tells_labels_and_contents_apart(tmp_path: Path) -> None:
    pictures = read_dataset(write_dataset(tmp_path, row("a"), row("b")))
    before = fingerprint(pictures)
    assert fingerprint(pictures[:1]) != before
    pictures[0].path.write_bytes(b"other")
    assert fingerprint(pictures) != before


def test_the_fingerprint_takes_hashes_from_the_metadata(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"images/ganesha/a.jpg").hexdigest()
    hashed = read_dataset(write_dataset(tmp_path, row("a", sha256=digest)))
    plain = read_dataset(write_dataset(tmp_path, row("a")))
    assert fingerprint(hashed) == fingerprint(plain)
