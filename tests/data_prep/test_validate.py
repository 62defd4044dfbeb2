"""What is no usable picture is found, named, and left where it is."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from PIL import Image

from data_prep.table import Table, read_table
from data_prep.validate import ValidateSettings, validate
from ideitify.dataset import write_rows
from ideitify.files import sha256_of
from tests.data_prep.pictures import scene


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def heap(folder: Path, files: dict[str, bytes], category: str = "ganesha", **row: str) -> Table:
    """A dataset folder with these files as they are."""
    for name, content in files.items():
        path = folder / "images" / category / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    names = [f"images/{category}/{name}" for name in files]
    write_rows(folder, [{"file_name": name, "category": category, **row} for name in names])
    return read_table(folder)


def outcome(table: Table, name: str, settings: ValidateSettings | None = None) -> tuple[str, str]:
    validate(table, settings or ValidateSettings(), workers=1)
    row = table.rows.loc[f"images/ganesha/{name}"]
    return row["status"], row["reject_reason"]


def test_a_sound_picture_is_kept_and_described(tmp_path: Path) -> None:
    table = heap(tmp_path, {"a.jpg": encoded(scene(1))})
    assert outcome(table, "a.jpg") == ("kept", "")
    row = table.rows.iloc[0]
    assert (row["format"], row["width"], row["height"]) == ("JPEG", "320", "240")
    assert row["sha256"] == sha256_of(tmp_path / "images/ganesha/a.jpg")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_every_format_that_the_project_reads_is_kept(tmp_path: Path, format: str) -> None:
    table = heap(tmp_path, {"a." + format.lower(): encoded(scene(1), format)})
    assert outcome(table, "a." + format.lower()) == ("kept", "")
    assert table.rows.iloc[0]["format"] == format


@pytest.mark.parametrize("size", [(320, 240), (4000, 600)])
def test_sides_are_those_of_the_picture_as_it_stands(tmp_path: Path, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    table = heap(tmp_path, {"a.jpg": encoded(scene(1, size), exif=exif)})
    outcome(table, "a.jpg")
    row = table.rows.iloc[0]
    assert (int(row["width"]), int(row["height"])) == size[::-1]


JPEG = encoded(scene(1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file is empty"),
        (b"hello", "not an image"),
        (b"<!doctype html><html>404</html>", "not an image"),
        (b"%PDF-1.4", "not an image"),
        (JPEG[: len(JPEG) // 2], "damaged or incomplete"),
        (JPEG[:-200] + bytes(200), "damaged or incomplete"),
        (b"\xff\xd8\xff\xe0broken", "damaged or incomplete"),
        (encoded(scene(1, (31, 200)), "PNG"), "icon"),
    ],
)
def test_what_shows_nothing_is_rejected(tmp_path: Path, content: bytes, reason: str) -> None:
    assert outcome(heap(tmp_path, {"a.jpg": content}), "a.jpg") == ("rejected", reason)


def test_a_missing_file_and_a_folder_are_rejected(tmp_path: Path) -> None:
    table = heap(tmp_path, {"a.jpg": b"", "b.jpg": b""})
    for name in "ab":
        (tmp_path / f"images/ganesha/{name}.jpg").unlink()
    (tmp_path / "images/ganesha/b.jpg").mkdir()
    assert outcome(table, "a.jpg") == ("rejected", "file is missing")
    assert outcome(table, "b.jpg") == ("rejected", "not a file")


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("MAX_BYTES", "more bytes than IDEITIFY_MAX_BYTES"),
     ("MAX_PIXELS", "more pixels than IDEITIFY_MAX_PIXELS")],
)  # fmt: skip
def test_what_is_beyond_the_limits_is_rejected_by_their_names(
    tmp_path: Path, limit: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = heap(tmp_path, {"a.jpg": encoded(scene(1)), "b.jpg": encoded(scene(2))})
    monkeypatch.setenv(f"IDEITIFY_{limit}", "1000")
    validate(table, ValidateSettings(), workers=2)  # processes of their own read the setting
    assert list(table.rows["reject_reason"]) == [reason] * 2
    monkeypatch.undo()
    again = read_table(tmp_path)
    assert outcome(again, "a.jpg") == ("kept", ""), "the refusal is not remembered"


def test_tiny_and_extreme_pictures_go_to_review(tmp_path: Path) -> None:
    table = heap(
        tmp_path,
        {"tiny.png": encoded(scene(1, (95, 200)), "PNG"),
         "strip.png": encoded(scene(1, (1000, 150)), "PNG"),
         "small.png": encoded(scene(1, (96, 200)), "PNG")},
    )  # fmt: skip
    assert outcome(table, "tiny.png") == ("review", "tiny")
    assert outcome(table, "strip.png") == ("review", "extreme ratio of sides")
    assert outcome(table, "small.png") == ("kept", "")
    table = read_table(tmp_path)
    assert outcome(table, "tiny.png", ValidateSettings(tiny_side=90)) == ("kept", "")


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_several_pages_go_to_review(tmp_path: Path, format: str) -> None:
    content = encoded(scene(1), format, save_all=True, append_images=[scene(2)])
    table = heap(tmp_path, {"a.gif": content})
    assert outcome(table, "a.gif") == ("review", "animated: only the first frame counts")


def test_content_other_than_the_harvest_s_goes_to_review(tmp_path: Path) -> None:
    table = heap(tmp_path, {"a.jpg": encoded(scene(1))}, sha256="0" * 64)
    assert outcome(table, "a.jpg") == ("review", "content changed: it is not what sha256 says")
    assert table.rows.iloc[0]["sha256"] == sha256_of(tmp_path / "images/ganesha/a.jpg")


def test_a_file_that_two_rows_name_is_kept_once(tmp_path: Path) -> None:
    table = heap(tmp_path, {"a.jpg": encoded(scene(1))})
    twice = [
        {"file_name": f"images/{dot}ganesha/a.jpg", "category": "ganesha"} for dot in ("", "./")
    ]
    write_rows(tmp_path, twice)
    table = validate(read_table(tmp_path), ValidateSettings(), workers=1)
    assert list(table.rows["status"]) == ["kept", "rejected"]
    assert table.rows.iloc[1]["reject_reason"] == "second row for one file"


@pytest.mark.parametrize("side", [20, 90])
def test_what_a_person_decided_stays(tmp_path: Path, side: int) -> None:
    table = heap(tmp_path, {"a.jpg": encoded(scene(1, (side, side)))}, decided_by="Asha")
    assert outcome(table, "a.jpg") == ("kept", "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "file is missing"), (b"hello", "not an image"), (JPEG[:900], "damaged or incomplete")],
)
def test_no_decision_makes_a_picture_of_a_file_that_is_none(
    tmp_path: Path, content: bytes | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = heap(tmp_path, {"a.jpg": content or b""}, decided_by="Asha")
    if content is None:
        table.path("images/ganesha/a.jpg").unlink()
    with caplog.at_level(logging.INFO):
        assert outcome(table, "a.jpg") == ("rejected", reason)
    assert "rejected though people decided otherwise: 1 cannot be used" in caplog.text


def test_categories_and_suffixes_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = heap(tmp_path, {"a.png": encoded(scene(1))}, category="ganehsa")
    with caplog.at_level(logging.INFO):
        validate(table, ValidateSettings(), workers=1)
    assert "1 categories have no knowledge entry: ganehsa; add knowledge/<slug>.md" in caplog.text
    assert "such as images/ganehsa/a.png: JPEG" in caplog.text
    assert list(table.rows["status"]) == ["kept"]
