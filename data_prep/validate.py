"""Find what is no usable picture: files that are missing, damaged, tiny or extreme.

Columns: `format`, as Pillow names it; `width`, `height` (upright) and `sha256` of the file itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data_prep.pixels import measure
from data_prep.table import DECIDED_BY, REJECTED, Table
from data_prep.workers import Where
from ideitify.knowledge import has_entry

SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "AVIF": {".avif"},
    "HEIF": {".heic", ".heif", ".hif"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"},
}
REASONS = {  # why a photo is refused -> reason; others are no image at all
    "missing": "file is missing",
    "not_a_file": "not a file",
    "empty": "file is empty",
    "truncated": "damaged or incomplete",
    "too_large": "more bytes than IDEITIFY_MAX_BYTES",
    "too_many_pixels": "more pixels than IDEITIFY_MAX_PIXELS",
    "too_many_frames": "more frames than IDEITIFY_MAX_FRAMES",
    "fatal": "ends the program that opens it",
}

VERSION = 2  # files of no use are rejected, whatever a person decided

logger = logging.getLogger(__name__)


class ValidateSettings(BaseModel):
    """What is too small or too extreme."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    useless_side: int = Field(
        32, ge=1, description="pixels of the short side below which a picture is rejected: an icon"
    )
    tiny_side: int = Field(
        96, ge=1, description="below which it goes to review: attributes are a few pixels there"
    )
    extreme_ratio: float = Field(
        5.0, gt=1, description="long to short side from which it goes to review: a banner, a strip"
    )


def validate(table: Table, settings: ValidateSettings, **where: Unpack[Where]) -> Table:
    """Reject what is missing, damaged or useless; send what is doubtful to review.

    Rejected: no file, not a picture, truncated, beyond the limits of `python -m ideitify settings`,
    an icon, or a file that another row names too. A person's decision counts for the last two only.
    To review: tiny, extreme, animated, content other than `sha256` says. Told: categories without a
    knowledge entry, suffixes that do not fit.

    Raises:
        OSError: the cache cannot be written.
        EngineError: the cluster cannot be used.
    """
    seen = measure(table, **where)
    _reject_refused(table, seen)
    _reject_second_names(table)
    readable = seen[seen["refusal"] == ""]
    _check_sizes(table, readable, settings)
    for name in readable.index[readable["animated"]]:
        table.doubt(name, "animated: only the first frame counts")
    _fill_in(table, readable)
    _tell_of_suffixes(readable)
    _tell_of_categories(table)
    return table


def reads(table: Table) -> Iterable[Path]:
    """The pictures themselves."""
    return map(table.path, map(str, table.rows.index))


def _reject_refused(table: Table, seen: pd.DataFrame) -> None:
    """What nothing here can open is out, whatever people decided; `unreadable` may be mended."""
    refused = seen.loc[seen["refusal"] != "", "refusal"]
    closed = refused.index[refused == "unreadable"]
    table.doubt_all(dict.fromkeys(map(str, closed), "cannot be opened"))
    useless = refused.drop(closed).map(lambda refusal: REASONS.get(refusal, "not an image"))
    rows = table.rows.loc[useless.index]
    overruled = int(((rows[DECIDED_BY] != "") & (rows["status"] != REJECTED)).sum())
    table.reject_all(dict(useless), though_decided=True)
    if overruled:
        logger.info("rejected though people decided otherwise: %d cannot be used", overruled)


def _reject_second_names(table: Table) -> None:
    """`images/a/./x.jpg` is `images/a/x.jpg`; the first row stays."""
    first: dict[str, str] = {}
    for name in map(str, table.rows.index):
        same = first.setdefault(os.path.normpath(name), name)
        if same != name:
            table.reject(name, "second row for one file")


def _check_sizes(table: Table, seen: pd.DataFrame, settings: ValidateSettings) -> None:
    short, long = seen[["width", "height"]].min(axis=1), seen[["width", "height"]].max(axis=1)
    for name in seen.index[short < settings.useless_side]:
        table.reject(name, "icon")
    for name in seen.index[short < settings.tiny_side]:
        table.doubt(name, "tiny")
    for name in seen.index[long > settings.extreme_ratio * short]:
        table.doubt(name, "extreme ratio of sides")


def _fill_in(table: Table, seen: pd.DataFrame) -> None:
    """Write what the files say; content that is not what the harvest hashed is for a person."""
    rows = table.rows
    given = rows.loc[seen.index, "sha256"]
    for name in seen.index[(given != "") & (given.str.lower() != seen["sha256"])]:
        table.doubt(name, "content changed: it is not what sha256 says")
    for column in ("sha256", "width", "height"):
        rows.loc[seen.index, column] = seen[column].astype(str)
    rows["format"] = seen["format"].reindex(rows.index, fill_value="")


def _tell_of_suffixes(seen: pd.DataFrame) -> None:
    suffixes = [Path(str(name)).suffix.lower() for name in seen.index]
    pairs = zip(suffixes, seen["format"], strict=True)
    wrong = [suffix not in SUFFIXES.get(format, {suffix}) for suffix, format in pairs]
    if any(wrong):
        name = seen.index[wrong][0]
        logger.info(
            "%d files have another format than their suffix says, such as %s: %s; "
            "programs that trust names may refuse them", sum(wrong), name, seen["format"][name],
        )  # fmt: skip


def _tell_of_categories(table: Table) -> None:
    unknown = sorted({c for c in table.having()["category"] if not has_entry(c)})
    if unknown:
        logger.info(
            "%d categories have no knowledge entry: %s%s; add knowledge/<slug>.md, or relabel",
            len(unknown), ", ".join(unknown[:5]), " …" if len(unknown) > 5 else "",
        )  # fmt: skip
