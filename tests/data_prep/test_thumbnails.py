"""Small pictures for pages that are one file."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from data_prep.thumbnails import SIDE, thumbnails
from tests.data_prep.publish.dataset import write_dataset


def opened(address: str) -> Image.Image:
    head, _, content = address.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_every_picture_gets_a_small_one_of_its_own_shape(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {"file_name": "images/ganesha/wide.png"})
    Image.new("RGB", (800, 400), "red").save(tmp_path / "images/ganesha/wide.png")
    table.rows.loc["images/ganesha/wide.png", "sha256"] = ""
    small = thumbnails(table, table.rows.index, workers=1)
    assert list(small) == list(table.rows.index)
    assert opened(small["images/ganesha/wide.png"]).size == (SIDE, SIDE // 2)


def test_one_that_cannot_be_read_gets_none(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {})
    broken, gone = table.rows.index
    (tmp_path / broken).write_bytes(b"no picture")
    (tmp_path / gone).unlink()
    assert thumbnails(table, [broken, gone], workers=1) == {broken: "", gone: ""}


@pytest.mark.usefixtures("flawed_decoder")
def test_one_that_ends_the_process_gets_none_and_the_others_theirs(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {}, {})
    fatal = table.rows.index[1]
    (tmp_path / fatal).write_bytes(b"GIF89a" + bytes(100))
    small = thumbnails(table, table.rows.index, workers=2)
    assert [name for name, address in small.items() if not address] == [fatal]


def test_they_are_made_once_for_each_content(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {})
    first = thumbnails(table, table.rows.index, workers=1)
    for name in table.rows.index:
        (tmp_path / name).unlink()
    assert thumbnails(table, table.rows.index, workers=1) == first
    made = list((tmp_path / ".data_prep/thumbnails").iterdir())
    assert len(made) == 2
