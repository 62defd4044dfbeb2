"""Write `metadata.csv`, here or beside copies of the pictures in another folder."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ideitify.dataset import METADATA_NAME, read_rows, write_rows
from ideitify.files import replacing
from ideitify.licenses import attribution
from ideitify.photo import open_photo
from ideitify.settings import Settings
from scraper.ledger import Ledger
from scraper.ledger.records import Stored, file_name_of

Row = dict[str, str]
Origin = tuple[str, str, str]  # source, id, URL

JPEG_QUALITY = 92  # what is lost cannot be seen, and a model is not confused by it
# What others decide about a picture; exporting again leaves it as it is.
DECIDED = ("category", "status", "reject_reason", "group", "split", "label_source")


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        pictures: rows of pictures in the ledger.
        others: rows kept of pictures that the ledger does not know.
        missing: files that the ledger names and that are not there; they get no row.
    """

    pictures: int
    others: int
    missing: list[str]


def export(
    ledger: Ledger, folder: Path, to: Path | None = None, max_side: int | None = None
) -> Exported:
    """Write the rows of all pictures; in another folder with copies of them.

    A `metadata.csv` that is there is brought up to date: rows that the ledger does not know stay,
    and so does what was decided about a picture since (see `DECIDED`), with all further columns.
    Withdrawn pictures, and copies under another name, are removed.

    Args:
        folder: the dataset folder with the pictures.
        to: where to export to, `folder` itself if None.
        max_side: in pixels; larger pictures are re-encoded as JPEG, upright and in sRGB, and
            named after their new bytes. Needs `to`: the originals stay as they came.

    Raises:
        ValueError: `max_side` without another folder `to`.
        DatasetError: the `metadata.csv` that is there cannot be read.
        OSError: a folder cannot be written.
    """
    target = to or folder
    if max_side and target.resolve() == folder.resolve():
        raise ValueError("re-encoded pictures need a folder of their own: give --to FOLDER")
    stored = ledger.stored()
    before, others = _old_rows(target, set(map(_origin, stored)), ledger.withdrawn_urls())
    rows, missing = [], []
    for picture in stored:
        if not (folder / picture.file_name).is_file():
            missing.append(picture.file_name)
            continue
        row = as_row(picture)
        if target != folder:
            row |= _copy(picture, folder, target, max_side)
        rows.append(_updated(before.get(_origin(picture), {}), row))
    write_rows(target, [*rows, *others])
    _remove_old_copies(target, before.values(), rows)
    return Exported(len(rows), len(others), missing)


def as_row(picture: Stored) -> Row:
    """A picture as a row of `metadata.csv`.

    One that was found for several classes has the status `review`: which it shows, a person says.
    """
    found, license_ = picture.found, picture.license
    others = ", ".join(picture.also_found_for)
    return {
        "file_name": picture.file_name,
        "category": picture.category,
        "skos_concept": found.skos_concept,
        "uri": found.page,
        "url": picture.url,
        "id": found.id,
        "source": found.source,
        "title": found.title,
        "creator": found.creator,
        "license": license_.id,
        "license_url": license_.url,
        "attribution": attribution(
            found.title, found.creator, found.source, found.page or picture.url, license_
        ),
        "query": found.query,
        "retrieved_at": picture.retrieved_at,
        "sha256": picture.sha256,
        "perceptual_hash": picture.perceptual_hash,
        "width": str(picture.width),
        "height": str(picture.height),
        "status": "review" if others else "kept",
        "reject_reason": f"also found for {others}" if others else "",
        "label_source": "scraper",
    }


def _origin(picture: Stored) -> Origin:
    """What a picture is known by, whatever its file is called."""
    return picture.found.source, picture.found.id, picture.url


def _old_rows(
    folder: Path, origins: set[Origin], withdrawn: set[str]
) -> tuple[dict[Origin, Row], list[Row]]:
    """The rows that are there: of these origins, and others; files of withdrawn ones go."""
    ours: dict[Origin, Row] = {}
    others = []
    for row in read_rows(folder) if (folder / METADATA_NAME).is_file() else []:
        origin = row.get("source", ""), row.get("id", ""), row.get("url", "")
        if origin[2] in withdrawn:
            (folder / row["file_name"]).unlink(missing_ok=True)
        elif origin in origins and origin not in ours:
            ours[origin] = row
        else:
            others.append(row)
    return ours, others


def _updated(before: Row, row: Row) -> Row:
    """A row with what was decided since it was last written."""
    untouched = before.get("status") == "kept" and before.get("label_source") == "scraper"
    decided = set(DECIDED) - ({"status", "reject_reason"} if untouched else set())
    return {**before, **row, **{name: before[name] for name in decided if name in before}}


def _remove_old_copies(target: Path, before: Iterable[Row], rows: Iterable[Row]) -> None:
    """Remove what an earlier export, with another `max_side`, named otherwise."""
    for name in {row["file_name"] for row in before} - {row["file_name"] for row in rows}:
        (target / name).unlink(missing_ok=True)


def _copy(picture: Stored, folder: Path, target: Path, max_side: int | None) -> Row:
    """Copy or re-encode a picture; returns the columns that change by it."""
    source = folder / picture.file_name
    if not max_side or max(picture.width, picture.height) <= max_side:
        _write(target / picture.file_name, source)
        return {}
    image = open_photo(source, side=max_side, limits=Settings(max_bytes=source.stat().st_size))
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY, optimize=True)
    digest = hashlib.sha256(encoded.getbuffer()).hexdigest()
    name = file_name_of(picture.category, digest, ".jpg")
    _write(target / name, encoded)
    width, height = map(str, image.size)
    return {"file_name": name, "sha256": digest, "width": width, "height": height}


def _write(path: Path, content: Path | io.BytesIO) -> None:
    """Write a file in one step, unless it is there: its name says what is in it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        if isinstance(content, Path):
            shutil.copyfile(content, partial)
        else:
            partial.write_bytes(content.getbuffer())
