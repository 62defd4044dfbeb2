"""The dataset folder: `images/<category>/<sha256[:16]>.<ext>` and `metadata.csv`.

This is the Hugging Face ImageFolder convention (`file_name` is the first column), so that
`datasets.load_dataset("imagefolder", ...)`, Kaggle and fastai read the folder as it is. `scraper`,
`data_prep` and `training` meet only here.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ideitify.files import replacing, sha256_of

COLUMNS = (
    "file_name", "category", "skos_concept", "uri", "url", "id", "source", "title", "creator",
    "license", "license_url", "attribution", "query", "retrieved_at", "sha256", "perceptual_hash",
    "width", "height", "status", "reject_reason", "group", "split", "label_source",
)  # fmt: skip
REQUIRED_COLUMNS = ("file_name", "category")
NONE_CATEGORY = "none"
METADATA_NAME = "metadata.csv"
PREPARED_NAME = ".data_prep"  # the folder of what data_prep remembers, small pictures too
SYNTHETIC_SOURCE = "synthetic"  # of machine-made pictures: they may train, and do nothing else


class DatasetError(ValueError):
    """The folder is not a usable dataset; the message says which row or file and what to do."""


@dataclass(frozen=True)
class Picture:
    """One row of `metadata.csv`.

    Attributes:
        path: the image file on disk.
        category: knowledge slug, or `none` for a photo with no deity.
        group: ties near-duplicates and views of one object; the row's own file name where the
            column is empty, so that such a picture is a group of its own.
        columns: the whole row as read, extra columns included.
    """

    path: Path
    category: str
    group: str
    columns: dict[str, str] = field(repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """Content hash (hex): the column where filled, otherwise of the file."""
        return self.columns.get("sha256") or sha256_of(self.path)

    @property
    def is_synthetic(self) -> bool:
        """Whether a model made it."""
        return self.columns.get("source") == SYNTHETIC_SOURCE

    @property
    def is_held_out(self) -> bool:
        """Whether it was dealt out to test: models are judged on it, and none is made of it."""
        return self.columns.get("split") == "test"


def read_dataset(folder: Path, status: str = "kept", *, synthetic: bool = False) -> list[Picture]:
    """Read the pictures of a dataset folder, in file order.

    Args:
        folder: a dataset folder.
        status: keep rows of this status; a folder without the column counts as all kept.
        synthetic: read the machine-made pictures instead of the others. Nobody reads both, so
            that nothing is measured on pictures that a model made.

    Raises:
        DatasetError: as `read_rows`, or a file named twice or missing, or no row left.
    """
    metadata = folder / METADATA_NAME
    pictures, seen = [], set()
    for line, row in _numbered_rows(folder):
        if row.get("status", status) != status:
            continue
        if (row.get("source") == SYNTHETIC_SOURCE) != synthetic:
            continue
        picture = _picture(folder, row, f"{metadata} line {line}")
        if picture.path in seen:
            raise DatasetError(f"{metadata} line {line}: {row['file_name']} is listed twice")
        seen.add(picture.path)
        pictures.append(picture)
    if not pictures:
        kind = "machine-made picture" if synthetic else "picture"
        raise DatasetError(f"{metadata} lists no {kind} with status {status!r}")
    return pictures


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Read `metadata.csv` as it is, extra columns included; files are not looked at.

    Raises:
        DatasetError: no folder, no `metadata.csv`, not UTF-8 or not CSV, a required column
            missing or any column twice, a row of another length, without category, or with a name
            outside the folder.
    """
    return [row for _, row in _numbered_rows(folder)]


def _numbered_rows(folder: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows, each with the line of the file on which it ends."""
    metadata = folder / METADATA_NAME
    if not metadata.is_file():
        raise DatasetError(f"{folder} is not a dataset folder: it has no {METADATA_NAME}")
    try:
        with metadata.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            names = list(reader.fieldnames or ())
    except UnicodeDecodeError as error:
        raise DatasetError(f"{metadata} is not UTF-8 ({error}); save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise DatasetError(f"{metadata} is not CSV: {error}") from error
    if twice := [name for name in names if names.count(name) > 1]:  # a row would keep one of both
        raise DatasetError(f"{metadata} has two columns {twice[0]!r}; rename or remove one")
    if missing := [name for name in REQUIRED_COLUMNS if rows and name not in rows[0][1]]:
        raise DatasetError(f"{metadata} lacks the column(s) {', '.join(missing)}")
    for line, row in rows:
        if None in row or None in row.values():  # what `csv` does with a row too long or too short
            raise DatasetError(f"{metadata} line {line} has not as many fields as the header")
        _check_row(row, f"{metadata} line {line}")
    return rows


def write_rows(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `metadata.csv` atomically: the known columns in their order, then the extra ones.

    Columns that a row lacks are left empty.
    """
    extra = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        replacing(folder / METADATA_NAME) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [*COLUMNS, *extra], restval="")
        writer.writeheader()
        writer.writerows(rows)


def _check_row(row: dict[str, str], where: str) -> None:
    name = row["file_name"]
    relative = PurePosixPath(name)
    if not name or relative.is_absolute() or ".." in relative.parts or "\\" in name:
        raise DatasetError(f"{where}: file_name {name!r} must be a path inside the folder")
    if not row["category"]:
        raise DatasetError(f"{where}: {name} has no category")


def _picture(folder: Path, row: dict[str, str], where: str) -> Picture:
    name = row["file_name"]
    path = folder / name
    if not path.is_file():
        raise DatasetError(f"{where}: {name} does not exist")
    return Picture(path, row["category"], row.get("group") or name, row)


def fingerprint(pictures: Iterable[Picture]) -> str:
    """Identify a set of labelled pictures, whatever their order and folder.

    Returns:
        sha256 (hex) over the sorted (content hash, category) pairs; the `sha256` column is used
        where filled, otherwise the file is hashed.
    """
    lines = sorted(f"{picture.sha256} {picture.category}" for picture in pictures)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
