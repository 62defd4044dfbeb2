"""Zooniverse: doubtful pictures as subjects, and what volunteers said into `decisions.csv`.

    python -m data_prep zooniverse export FOLDER subjects/
    python -m data_prep zooniverse import FOLDER classifications.csv

`subjects/` has the pictures, small enough for Zooniverse, and `manifest.csv` with a row for each,
the most doubtful first. To upload is to publish: only pictures whose licence allows it go out, each
with its credit. Columns that begin with `#` are not shown to volunteers.

The project's workflow has one question, "Is it who the caption says?", with the answers of
`ANSWERS`, word for word. What comes back is the classification export. Every volunteer is a
reviewer (`zooniverse: name`); how many must have spoken is a setting of the step `decisions`.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from data_prep.decisions import ExportError, import_decisions
from ideitify.dataset import SYNTHETIC_SOURCE, DatasetError, read_rows
from ideitify.decisions import Action, Decision, read_decisions
from ideitify.files import replacing, write_whole
from ideitify.licenses import allowed, normalize
from ideitify.photo import PhotoError, open_photo
from ideitify.review import Item, name_of, review_queue

MANIFEST_NAME = "manifest.csv"
MOST_BYTES = 1_000_000  # per picture, Zooniverse's limit
SIDE = 1600  # pixels on the long side; more is not shown
COLUMNS = (
    "image", "caption", "title", "creator", "license", "source",
    "#file_name", "#category", "#doubt",
)  # fmt: skip

# What volunteers can answer -> what that decides, and the reason if it is rejected.
ANSWERS: Mapping[str, tuple[Action, str]] = {
    "yes": ("keep", ""),
    "no, someone else": ("reject", "someone else, cannot tell who"),
    "no deity is there": ("reject", "no deity"),
    "the picture is too poor": ("reject", "too poor to recognise"),
    "i cannot tell": ("skip", ""),
}

command = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Dataset folder (metadata.csv).")]


@command.command("export")
def export_subjects(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="Folder to write.", file_okay=False)],
    most: Annotated[int, typer.Option(min=1, help="Pictures, the most doubtful.")] = 1000,
) -> None:
    """Write pictures in review and their manifest, for panoptes subject-set upload-subjects."""
    try:
        queue = review_queue(read_rows(folder), read_decisions(folder), who="")
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    asked = [item for item in queue if item.asked]
    free = [item for item in asked if may_be_shown(item)]
    out.mkdir(parents=True, exist_ok=True)
    names = subject_names(item.file_name for item in free[:most])
    rows = [
        row
        for item in free[:most]
        if (row := write_subject(folder, out / names[item.file_name], item))
    ]
    manifest = io.StringIO()
    writer = csv.DictWriter(manifest, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / MANIFEST_NAME, manifest.getvalue())
    print(
        f"{len(rows)} subjects in {out / MANIFEST_NAME}; {len(asked) - len(free)} of {len(asked)} "
        "pictures in review stay here: their licence does not allow to show them"
    )


@command.command("import")
def import_classifications(
    folder: Folder,
    export: Annotated[Path, typer.Argument(help="Zooniverse's classification export (CSV).")],
    workflow: Annotated[
        int | None, typer.Option(help="Only of the workflow with this number.")
    ] = None,
) -> None:
    """Append volunteers' answers to decisions.csv; those that are there already are left."""
    try:
        print(import_decisions(folder, read_export(export, workflow)))
    except (DatasetError, ExportError) as error:
        raise typer.BadParameter(str(error)) from error


def may_be_shown(item: Item) -> bool:
    """Whether it is no machine-made picture, and the licence lets everybody show it."""
    license = normalize(item.row.get("license", ""), item.row.get("license_url", ""))
    return allowed(license, "noncommercial") and item.row.get("source") != SYNTHETIC_SOURCE


def subject_names(file_names: Iterable[str]) -> dict[str, str]:
    """A name for each picture's copy: its own, numbered where another folder has the same."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for file_name in file_names:
        stem = Path(file_name).stem
        free = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in free if name.casefold() not in taken)
        taken.add(name.casefold())  # some disks do not tell A.jpg from a.jpg
        names[file_name] = f"{name}.jpg"
    return names


def write_subject(folder: Path, path: Path, item: Item) -> dict[str, object] | None:
    """Write a picture for volunteers, and return its row; None if it cannot be read."""
    try:
        picture = open_photo(folder / item.file_name, side=SIDE)
    except PhotoError as error:
        print(f"{item.file_name}: {error}", file=sys.stderr)
        return None
    with replacing(path) as partial:
        partial.write_bytes(small_jpeg(picture))
    row = item.row
    return {
        "image": path.name,
        "caption": f"Is this {name_of(item.category)}?",
        "title": row.get("title", ""),
        "creator": row.get("attribution") or row.get("creator", ""),
        "license": row.get("license", ""),
        "source": row.get("uri") or row.get("url", ""),
        "#file_name": item.file_name,
        "#category": item.category,
        "#doubt": f"{item.doubt:.4f}",
    }


def small_jpeg(picture: Image.Image) -> bytes:
    """The picture without its metadata, in no more bytes than Zooniverse takes."""
    picture.thumbnail((SIDE, SIDE))
    for quality in (90, 80, 60, 40):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def read_export(path: Path, workflow: int | None = None) -> list[Decision]:
    """The decisions in a classification export, in the order in which they were made.

    Raises:
        ExportError: no such file, not this export, or an answer that `ANSWERS` does not have.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(2**31 - 1)  # annotations are JSON of any length
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"{path} is not a CSV in UTF-8: {error}") from error
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from error
    made = [
        decision
        for number, row in enumerate(rows, 2)
        if workflow is None or row.get("workflow_id") == str(workflow)
        for decision in _decisions(row, f"{path} row {number}")
    ]
    return sorted(made, key=lambda decision: decision.when)


def _decisions(row: Mapping[str, str], where: str) -> Iterable[Decision]:
    """What one classification decides: nothing where the subject is not one of ours."""
    try:
        answers = [annotation.get("value") for annotation in json.loads(row["annotations"])]
        subjects = list(json.loads(row["subject_data"]).values())
        who, when = f"zooniverse: {row['user_name']}", _time(row["created_at"])
    except (KeyError, AttributeError, ValueError) as error:
        raise ExportError(
            f"{where} is no classification ({error}): request the classification export anew"
        ) from error
    for subject in subjects:
        if "#file_name" in subject:
            action, reason = _answer(answers, where)
            category = subject["#category"] if action == "keep" else ""
            yield Decision(when, who, subject["#file_name"], action, category, reason)


def _answer(values: list[Any], where: str) -> tuple[Action, str]:
    """The one answer that counts; tasks beside the question are left alone."""
    given = [value for value in values if isinstance(value, str)]
    for value in given:
        if decided := ANSWERS.get(value.strip().rstrip(".!").casefold()):
            return decided
    raise ExportError(
        f"{where}: the answer {', '.join(given) or 'is missing, it'} is none of "
        f"{' / '.join(ANSWERS)}; use --workflow if the project has others"
    )


def _time(text: str) -> str:
    """`2026-01-31 12:34:56 UTC` as decisions have it."""
    return text.replace(" UTC", "Z").replace(" ", "T")
