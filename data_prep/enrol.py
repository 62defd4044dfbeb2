"""Files without a row get one: whoever drops pictures into `images/<category>/` finds them here.

They go to review, since nobody said where they come from. But the picture of a row that lost its
file was moved by hand: it takes along what that row tells, source and licence too, and has the
category of its new folder. A row that was added stays, whatever step is taken back: a person may
have decided on it.

A file whose name was written in other Unicode characters than its row's (é as one or as two: what
comes from a Mac has two) is given the row's name, by which decisions and splits know it, too.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from data_prep.table import REVIEW, Table
from ideitify.files import sha256_of

IMAGES = "images"
REASON = "file without a row in metadata.csv"
BY_HAND = {"label_source": "human"}  # who moved a picture said what it shows

logger = logging.getLogger(__name__)


class EnrolSettings(BaseModel):
    """There is nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def enrol(table: Table, settings: EnrolSettings) -> Table:
    """Add a row for every file in a category's folder that has none, for review if it is new.

    Hidden files are left out. Files elsewhere, or with names that a table cannot hold, are only
    told of.

    Raises:
        OSError: a file cannot be given the name of its row.
    """
    listed = {os.path.normpath(name) for name in map(str, table.rows.index)}
    strays = [name for name in _files(table.folder) if name not in listed]
    strays = _without_respelt(table.folder, strays, listed)
    placed = [name for name in strays if name.count("/") == 2 and _is_text(name)]
    if others := len(strays) - len(placed):
        example = next(name for name in strays if name not in placed)
        logger.info(
            "%d files are not in images/<category>/, or their names are not UTF-8: %r; move them",
            others, example,
        )  # fmt: skip
    if moved := _moved(table, placed):
        name, old = next(iter(moved.items()))
        logger.info(
            "files moved by hand: %d, such as %s, from %s; what their rows tell went along, and "
            "the category is that of the new folder", len(moved), name, old,
        )  # fmt: skip
        facts = {name: _cells(table, old) | BY_HAND for name, old in moved.items()}
        _append(table, facts)
    if new := [name for name in placed if name not in moved]:
        logger.info("files without a row: %d; they are in review", len(new))
        _append(table, {name: {"status": REVIEW, "reject_reason": REASON} for name in new})
    return table


def reads(table: Table) -> list[Path]:
    """The folders whose content matters; a folder's time changes with the names in it."""
    images = table.folder / IMAGES
    return [images, *sorted(path for path in images.glob("*") if path.is_dir())]


def _files(folder: Path) -> Iterator[str]:
    """Names of the files below `images/`, in order, relative to the dataset folder."""
    for parent, folders, files in os.walk(folder / IMAGES, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()


def _moved(table: Table, strays: Sequence[str]) -> dict[str, str]:
    """Which stray is the picture of which row that lost its file, as their sha256 says."""
    hashes = table.rows["sha256"].items() if strays else ()
    lost = {sha256: str(name) for name, sha256 in hashes if not table.path(str(name)).exists()}
    lost.pop("", None)
    found = {name: sha256_of(table.path(name)) for name in strays} if lost else {}
    return {name: lost[sha256] for name, sha256 in found.items() if sha256 in lost}


def _cells(table: Table, name: str) -> dict[str, str]:
    return {str(column): str(cell) for column, cell in table.rows.loc[name].items()}


def _append(table: Table, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Add rows by the names of their files, each in the category of its folder."""
    empty = dict.fromkeys(table.rows.columns, "")
    cells = [{**empty, **row, "category": name.split("/")[1]} for name, row in rows.items()]
    index = pd.Index(list(rows), name=table.rows.index.name)
    table.rows = pd.concat([table.rows, pd.DataFrame(cells, index=index)])


def _without_respelt(folder: Path, strays: Sequence[str], listed: Iterable[str]) -> list[str]:
    """The files that are not a row's in another form of Unicode; those are given its name."""
    names = {unicodedata.normalize("NFC", name): name for name in listed}
    left, renamed = [], 0
    for stray in strays:
        name = names.get(unicodedata.normalize("NFC", stray))
        if name and not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / stray).rename(folder / name)
            renamed += 1
        elif not (name and (folder / name).samefile(folder / stray)):  # a Mac takes either form
            left.append(stray)
    if renamed:
        logger.info("files renamed to the Unicode form of their rows: %d", renamed)
    return left


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return "\\" not in name
