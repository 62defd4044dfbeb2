"""Write `metadata.csv`, here or beside copies of the pictures in another folder."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from ideitify.dataset import METADATA_NAME, DatasetError, read_rows, write_rows
from ideitify.files import replacing, sha256_of
from ideitify.licenses import attribution, normalize
from ideitify.photo import PhotoError, open_photo
from ideitify.settings import Settings
from scraper.ledger import Ledger
from scraper.ledger.records import Stored, file_name_of
from scraper.withdraw import remove

Row = dict[str, str]
Origin = tuple[str, str, str]  # source, id, URL

JPEG_QUALITY = 92  # what is lost cannot be seen, and a model is not confused by it
# What others decide about a picture; exporting again leaves it as it is.
DECIDED = ("category", "group", "split", "label_source")
STATUS = ("status", "reject_reason")
ALSO_FOUND_FOR = "also_found_for"  # other classes, as the status takes account of them
# Columns in which people correct what a source says; their cells are taken instead of its.
BY_HAND = {name: f"{name}_by_hand" for name in ("title", "creator", "license")}


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        pictures: rows of pictures in the ledger, as it knows them now.
        others: rows kept of pictures that the ledger does not know.
        missing: files that the ledger names and that are not there. Their rows and copies of an
            earlier export stay as they are; where there was none, they get none.
        damaged: the same for files that cannot be re-encoded, each with why.
        reset: creators and licences that were changed in the table and are the ledger's again.
        moved: files that a person moved to another category's folder, which the ledger follows.
    """

    pictures: int
    others: int
    missing: list[str]
    damaged: list[str]
    reset: list[str]
    moved: list[str]


def export(
    ledger: Ledger, folder: Path, to: Path | None = None, max_side: int | None = None
) -> Exported:
    """Write the rows of all pictures; in another folder with copies of them.

    A `metadata.csv` that is there is brought up to date: rows that the ledger does not know stay,
    and so does what was decided about a picture since (see `DECIDED`, `STATUS` and `BY_HAND`), with
    all further columns. Withdrawn pictures, and copies under another name, are removed. A picture
    that was moved to another category's folder is of that category.

    Args:
        folder: the dataset folder with the pictures.
        to: where to export to, `folder` itself if None.
        max_side: in pixels; larger pictures are re-encoded as JPEG, upright and in sRGB, and
            named after their new bytes. Needs `to`: the originals stay as they came.

    Raises:
        ValueError: `max_side` without another folder `to`.
        DatasetError: no picture is there, or the `metadata.csv` that is there cannot be read.
        OSError: a folder cannot be written.
    """
    target = to or folder
    if max_side and target.resolve() == folder.resolve():
        raise ValueError("re-encoded pictures need a folder of their own: give --to FOLDER")
    moved = _follow_moves(ledger, folder)
    stored = ledger.stored()
    copies, missing, damaged = _copies(stored, folder, target, max_side)
    if stored and not copies:
        raise DatasetError(
            f"none of the {len(stored)} pictures in the ledger can be read in {folder}: is their "
            "disk mounted? Nothing was changed"
        )
    # Copying takes its time; the table is read only now, since others may have written it meanwhile
    before, others = _old_rows(target, stored, copies, ledger.withdrawn_urls())
    objects = _objects(stored)
    rows, reset = [], []
    for picture in stored:
        old, copy = before.get(picture.sha256, {}), copies.get(picture.sha256)
        if copy is not None:
            row = as_row(_corrected(picture, old)) | {"group": objects[picture.sha256]} | copy
            rows.append(_updated(old, row))
            reset += _reset(old, row)
        elif old:
            rows.append(old)
    write_rows(target, [*rows, *others])
    _remove_old_copies(target, before, copies, [*rows, *others])
    return Exported(len(copies), len(others), missing, damaged, reset, moved)


def as_row(picture: Stored) -> Row:
    """A picture as a row of `metadata.csv`.

    One that was found for several classes has the status `review`: which it shows, a person says.
    """
    found, license_ = picture.found, picture.license
    others = ", ".join(picture.also_found_for)
    return {
        "file_name": picture.file_name,
        "category": picture.placed_in,
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
        **({ALSO_FOUND_FOR: others} if others else {}),
    }


def _follow_moves(ledger: Ledger, folder: Path) -> list[str]:
    """Tell the ledger of files that lie in another category's folder now; returns them in words."""
    lost = [one for one in ledger.stored() if not (folder / one.file_name).is_file()]
    places: dict[str, list[Path]] = defaultdict(list)
    for path in folder.glob("images/*/*") if lost else ():
        places[path.name].append(path)
    moved = []
    for picture in lost:
        same = (path for path in places[Path(picture.file_name).name] if path.is_file())
        found = [path for path in same if sha256_of(path) == picture.sha256]
        if len(found) == 1:
            name = found[0].relative_to(folder).as_posix()
            ledger.move(picture.sha256, name)
            moved.append(f"{picture.file_name} -> {name}")
    return moved


def _origin(picture: Stored) -> Origin:
    """What a picture is known by, whatever its file is called."""
    return picture.found.source, picture.found.id, picture.url


def _copies(
    stored: Iterable[Stored], folder: Path, target: Path, max_side: int | None
) -> tuple[dict[str, Row], list[str], list[str]]:
    """By sha256 the columns that change by copying; then what is missing and what is damaged."""
    copies: dict[str, Row] = {}
    missing, damaged = [], []
    for picture in stored:
        if not (folder / picture.file_name).is_file():
            missing.append(picture.file_name)
            continue
        try:
            is_there = target == folder
            copies[picture.sha256] = {} if is_there else _copy(picture, folder, target, max_side)
        except PhotoError as error:
            damaged.append(f"{picture.file_name}: {error}")
    return copies, missing, damaged


def _old_rows(
    folder: Path, stored: Iterable[Stored], copies: Mapping[str, Row], withdrawn: set[str]
) -> tuple[dict[str, Row], list[Row]]:
    """The rows that are there: of these pictures by sha256, and others; files of withdrawn ones go.

    A row is a picture's by its origin, or else by its file: `data_prep` enrols files that have no
    row yet, and a spreadsheet may change an id. So a file never gets two rows.
    """
    by_origin = {_origin(picture): picture.sha256 for picture in stored}
    by_name = {picture.file_name: picture.sha256 for picture in stored}
    by_name |= {copy["file_name"]: sha256 for sha256, copy in copies.items() if copy}
    rows = read_rows(folder) if (folder / METADATA_NAME).is_file() else []
    ours: dict[str, Row] = {}
    rest = []
    for row in sorted(rows, key=lambda row: row["file_name"] not in by_name):
        origin = row.get("source", ""), row.get("id", ""), row.get("url", "")
        if origin[2] in withdrawn:
            remove(folder, row["file_name"])
        elif origin not in by_origin or ours.setdefault(by_origin[origin], row) is not row:
            rest.append(row)
    others = []
    for row in rest:
        sha256 = by_name.get(row["file_name"])
        if sha256 is None:
            others.append(row)
        elif sha256 not in ours or (_is_labelled(row) and not _is_labelled(ours[sha256])):
            ours[sha256] = row
    return ours, others


def _is_labelled(row: Row) -> bool:
    """Whether somebody else said what a picture shows."""
    return row.get("label_source", "") not in {"", "scraper"}


def _objects(stored: Sequence[Stored]) -> dict[str, str]:
    """By sha256 the group of views of one object: pictures that a source shows on one page."""
    pages = {
        picture.sha256: f"{picture.found.source}:{picture.found.page}" if picture.found.page else ""
        for picture in stored
    }
    shown = Counter(pages.values())
    return {sha256: page if shown[page] > 1 else "" for sha256, page in pages.items()}


def _corrected(picture: Stored, before: Row) -> Stored:
    """A picture with the credits that a person wrote into the columns for it."""
    by_hand = {name: before.get(column, "") for name, column in BY_HAND.items()}
    found = replace(
        picture.found,
        title=by_hand["title"] or picture.found.title,
        creator=by_hand["creator"] or picture.found.creator,
    )
    license_ = normalize(by_hand["license"]) if by_hand["license"] else picture.license
    return replace(picture, found=found, license=license_)


def _reset(before: Row, row: Row) -> list[str]:
    """The credits in a row that do not stay, each in a sentence."""
    return [
        f"{row['file_name']}: the {name} is {row[name]!r}, not {before[name]!r} as the table said; "
        f"a correction belongs in the column {BY_HAND[name]}"
        for name in ("creator", "license")
        if before.get(name, row[name]) not in {"", row[name]} and not before.get(BY_HAND[name])
    ]


def _updated(before: Row, row: Row) -> Row:
    """A row with what was decided since it was last written."""
    decided = {name: before[name] for name in DECIDED if before.get(name)}
    if before and _folder(before) != _folder(row):  # who moved it said what it shows
        decided |= {"category": row["category"], "label_source": "human"}
    if not _is_undecided(before, row):
        decided |= {name: before.get(name, "") for name in STATUS}
    return {**before, **row, **decided}


def _folder(row: Row) -> str:
    return row["file_name"].rpartition("/")[0]


def _is_undecided(before: Row, row: Row) -> bool:
    """Whether the ledger says what a picture's status is.

    That is so for files that `data_prep` enrolled for nobody knowing them, until somebody decides;
    and for pictures that were kept before they were found for yet another class.
    """
    status, label_source = before.get("status", ""), before.get("label_source", "")
    is_news = before.get(ALSO_FOUND_FOR, "") != row.get(ALSO_FOUND_FOR, "")
    is_enrolled = status == "review" and not label_source and not before.get("source")
    return not status or is_enrolled or (status == "kept" and label_source == "scraper" and is_news)


def _remove_old_copies(
    target: Path, before: Mapping[str, Row], copies: Mapping[str, Row], rows: Iterable[Row]
) -> None:
    """Remove what an earlier export, with another `max_side`, named otherwise.

    What could not be copied now keeps its old copy.
    """
    names = {row["file_name"] for sha256, row in before.items() if sha256 in copies}
    for name in names - {row["file_name"] for row in rows}:
        (target / name).unlink(missing_ok=True)


def _copy(picture: Stored, folder: Path, target: Path, max_side: int | None) -> Row:
    """Copy or re-encode a picture; returns the columns that change by it."""
    source = folder / picture.file_name
    if not max_side or max(picture.width, picture.height) <= max_side:
        _write(target / picture.file_name, source)
        return {}
    limits = Settings(max_bytes=max(1, source.stat().st_size))  # of an empty file too
    image = open_photo(source, side=max_side, limits=limits)
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY, optimize=True)
    digest = hashlib.sha256(encoded.getbuffer()).hexdigest()
    name = file_name_of(picture.placed_in, digest, ".jpg")
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
