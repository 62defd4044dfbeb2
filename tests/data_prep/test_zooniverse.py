"""Subjects for Zooniverse, and volunteers' answers back into decisions.csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner

from data_prep.zooniverse import MOST_BYTES, command
from ideitify.dataset import read_rows, write_rows
from ideitify.decisions import read_decisions
from tests.tiny import BLUE, GREEN, GREY, RED, picture

NAMES = [f"images/ganesha/{number:016x}.jpg" for number in range(5)]
COLUMNS = [
    "classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name",
    "workflow_version", "created_at", "gold_standard", "expert", "metadata", "annotations",
    "subject_data", "subject_ids",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In review: one in the public domain, one with a licence that forbids it, one unreadable."""
    folder = tmp_path / "data"
    (folder / "images" / "ganesha").mkdir(parents=True)
    for name in NAMES:
        picture(RED, side=300).save(folder / name)
    (folder / NAMES[3]).write_bytes(b"not a picture")
    licenses = ["CC0-1.0", "CC0-1.0", "unknown", "CC-BY-4.0", "CC-BY-4.0"]
    write_rows(folder, [
        {"file_name": name, "category": "ganesha", "status": "review" if number else "kept",
         "license": licenses[number], "creator": "A. Person", "title": "Statue",
         "uri": "https://example.org/1", "weak_probability": f"0.{number}"}
        for number, name in enumerate(NAMES)
    ])  # fmt: skip
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)))
    return result.exit_code, " ".join(result.output.split())


def subjects(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def classification(file_name: str, value: object, **changes: str) -> dict[str, str]:
    """A row of the classification export."""
    subject = {"retired": None, "image": "x.jpg", "#file_name": file_name, "#category": "ganesha"}
    row = {
        "classification_id": "501", "user_name": "stargazer", "user_id": "9", "user_ip": "ab12",
        "workflow_id": "77", "workflow_name": "Who is it?", "workflow_version": "3.4",
        "created_at": "2026-03-01 10:00:00 UTC", "gold_standard": "", "expert": "",
        "metadata": json.dumps({"live_project": True}),
        "annotations": json.dumps([{"task": "T0", "task_label": "Is it?", "value": value}]),
        "subject_data": json.dumps({"9001": subject}), "subject_ids": "9001",
    }  # fmt: skip
    return row | changes


def take(folder: Path, *rows: dict[str, str], options: tuple[str, ...] = ()) -> tuple[int, str]:
    path = folder.parent / "classifications.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return run("import", folder, path, *options)


def test_only_what_may_be_shown_goes_out_with_its_credit(folder: Path, tmp_path: Path) -> None:
    code, said = run("export", folder, tmp_path / "out")
    assert code == 0, said
    assert "2 subjects" in said
    assert "1 of 4 pictures in review stay here" in said
    assert NAMES[3] in said  # unreadable, and named
    rows = subjects(tmp_path / "out")
    assert [row["#file_name"] for row in rows] == [NAMES[1], NAMES[4]]
    assert rows[0]["caption"] == "Is this Ganesha?"
    assert rows[0]["creator"] == "A. Person"
    assert {row["image"] for row in rows} | {"manifest.csv"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_machine_made_pictures_stay_here(folder: Path, tmp_path: Path) -> None:
    rows = read_rows(folder)
    made = [row | {"source": "synthetic" if row["file_name"] == NAMES[1] else ""} for row in rows]
    write_rows(folder, made)
    run("export", folder, tmp_path / "out")
    assert [row["#file_name"] for row in subjects(tmp_path / "out")] == [NAMES[4]]


def test_pictures_of_one_name_in_several_folders_keep_a_copy_each(tmp_path: Path) -> None:
    colours = {
        "ganesha/1.jpg": RED,
        "shiva/1.png": GREEN,
        "durga/1-2.jpg": BLUE,
        "kali/1.JPG": GREY,
    }
    folder = tmp_path / "data"
    for name, colour in colours.items():
        (folder / "images" / name).parent.mkdir(parents=True)
        picture(colour, side=64).save(folder / "images" / name)
    write_rows(folder, [
        {"file_name": f"images/{name}", "category": name.partition("/")[0], "status": "review",
         "license": "CC0-1.0"}
        for name in colours
    ])  # fmt: skip
    run("export", folder, tmp_path / "out")
    rows = subjects(tmp_path / "out")
    assert len({row["image"].casefold() for row in rows}) == len(rows) == 4
    for row in rows:
        with Image.open(tmp_path / "out" / row["image"]) as image:
            colour = colours[row["#file_name"].removeprefix("images/")]
            assert image.getpixel((32, 32)) == pytest.approx(colour, abs=4)


def test_the_most_doubtful_come_first_and_the_number_can_be_limited(
    folder: Path, tmp_path: Path
) -> None:
    run("export", folder, tmp_path / "out", "--most", 1)
    assert [row["#file_name"] for row in subjects(tmp_path / "out")] == [NAMES[1]]


def test_pictures_fit_and_tell_nothing_about_their_camera(folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2400, 3200, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "secret"
    Image.fromarray(noise).save(folder / NAMES[1], quality=95, exif=exif)
    run("export", folder, tmp_path / "out")
    path = tmp_path / "out" / f"{1:016x}.jpg"
    assert path.stat().st_size <= MOST_BYTES
    with Image.open(path) as image:
        assert max(image.size) == 1600
        assert not image.getexif()


def test_answers_become_decisions_one_volunteer_one_reviewer(folder: Path) -> None:
    code, said = take(
        folder,
        classification(NAMES[1], "Yes"),
        classification(NAMES[1], "No deity is there.", user_name="not-logged-in-5f3a"),
        classification(NAMES[2], "No, someone else", created_at="2026-02-28 09:00:00 UTC"),
        classification(NAMES[4], "I cannot tell"),
    )
    assert (code, said) == (0, "4 decisions added")
    made = read_decisions(folder)
    assert made[0].file_name == NAMES[2]  # in the order of time
    assert {(d.who, d.file_name, d.action, d.category, d.reason) for d in made} == {
        ("zooniverse: stargazer", NAMES[1], "keep", "ganesha", ""),
        ("zooniverse: not-logged-in-5f3a", NAMES[1], "reject", "", "no deity"),
        ("zooniverse: stargazer", NAMES[2], "reject", "", "someone else, cannot tell who"),
        ("zooniverse: stargazer", NAMES[4], "skip", "", ""),
    }
    assert made[0].when == "2026-02-28T09:00:00Z"


@pytest.mark.parametrize("user", ["stargazer", "star  gazer"])
def test_the_same_export_twice_adds_nothing(folder: Path, user: str) -> None:
    answer = classification(NAMES[1], "Yes", user_name=user)
    take(folder, answer)
    assert "0 decisions added, 1 were there already" in take(folder, answer)[1]


def test_other_workflows_and_subjects_are_left_alone(folder: Path) -> None:
    other = classification(NAMES[1], [{"x": 3.5, "tool": 0}], workflow_id="78")
    foreign = classification("", "Yes", subject_data=json.dumps({"1": {"retired": None}}))
    code, said = take(
        folder, other, foreign, classification(NAMES[1], "Yes"), options=("--workflow", "77")
    )
    assert (code, said) == (0, "1 decisions added")


@pytest.mark.parametrize(
    "row",
    [
        classification(NAMES[1], "Perhaps"),
        classification(NAMES[1], None),
        classification(NAMES[1], "Yes", annotations="[{"),
        classification(NAMES[1], "Yes", subject_data="[]"),
    ],
)
def test_what_cannot_be_understood_is_named_and_nothing_changes(
    folder: Path, row: dict[str, str]
) -> None:
    code, said = take(folder, classification(NAMES[1], "Yes"), row)
    assert code == 2
    assert "row 3" in said
    assert read_decisions(folder) == []
