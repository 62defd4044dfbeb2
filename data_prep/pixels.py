"""Every picture decoded once, at reduced size: its facts and measures, kept between runs.

The cache is `.data_prep/pixels.sqlite`. A row holds for as long as its file has the same size and
time of change, so an interrupted run goes on where it stopped. A picture that cannot be read is not
kept: it may be mended, and the limits on what is read may be raised.
"""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from rich.progress import track

from data_prep.looks import MARK_SIDE, cleanvision_measures, layout_measures, mark_signature
from data_prep.state import FOLDER_NAME, stamp
from data_prep.table import Table
from ideitify.engine import Engine, run
from ideitify.photo import REDUCTION_MARGIN, PhotoError, open_photo, upright_size

VERSION = 1  # of the measures: another number empties the cache
KEPT_SIDE = 288  # pixels of the short side: letters of a page are still letters
PICTURES_PER_TASK = 32  # enough that sending a task costs nothing against doing it

Task = tuple[tuple[str, str], ...]  # (file name, absolute path)


@dataclass(frozen=True)
class Pixels:
    """What a picture's file says and what its pixels measure.

    Attributes:
        refusal: reason of the `PhotoError` with which it was refused; "" for one that can be read.
            The rest is empty then.
        message: the error's sentence.
        width, height: in pixels, upright, as stored.
        format: Pillow's name, such as "JPEG".
        animated: it has more than one frame or page.
        measures: see `data_prep.looks`.
    """

    refusal: str = ""
    message: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    animated: bool = False
    measures: dict[str, float] = field(default_factory=dict)


def measure(
    table: Table,
    *,
    engine: Engine = "local",
    workers: int | None = None,
    address: str | None = None,
) -> pd.DataFrame:
    """Look at the pictures of all rows; those in the cache are not opened again.

    Returns:
        the fields of `Pixels`, one row a picture in the table's order; each measure is a column,
        NaN for a picture that cannot be read.

    Raises:
        OSError: the cache cannot be read or written.
    """
    found: dict[str, Pixels] = {}
    with _cache(table.folder) as cache:
        stamps = {name: stamp(table.path(name)) for name in map(str, table.rows.index)}
        found = _known(cache, stamps)
        missing = [name for name in stamps if name not in found]
        tasks = list(_tasks(table, missing))
        results = run(tasks, measure_task, engine=engine, workers=workers, address=address)
        for task, seen in _progress(results, len(tasks)):
            names = [name for name, _ in task]
            found |= {name: pixels for name, (pixels, _) in zip(names, seen, strict=True)}
            _keep(cache, stamps, zip(names, seen, strict=True))
    records = [_record(found[name]) for name in stamps]
    return pd.DataFrame(records, index=table.rows.index)


def signatures(table: Table, names: Iterable[str]) -> Iterator[np.ndarray]:
    """The small grey squares of measured pictures, uint8 (MARK_SIDE, MARK_SIDE), in order.

    Raises:
        KeyError: a picture was not measured, or cannot be read.
    """
    with _cache(table.folder) as cache:
        for name in names:
            row = cache.execute("SELECT signature FROM pixels WHERE name = ?", [name]).fetchone()
            if row is None:
                raise KeyError(name)
            yield np.frombuffer(row[0], np.uint8).reshape(MARK_SIDE, MARK_SIDE)


def measure_task(task: Task) -> list[tuple[Pixels, bytes]]:
    """Look at pictures: what is seen of each, and its signature."""
    return [look_at(Path(path)) for _, path in task]


def look_at(path: Path) -> tuple[Pixels, bytes]:
    """Decode a picture and measure it; the second part is `mark_signature`."""
    try:
        image = open_photo(path, side=round(KEPT_SIDE / REDUCTION_MARGIN))
        content = path.read_bytes()  # not larger than `open_photo` allows
        with Image.open(io.BytesIO(content)) as header:
            facts = _facts(header)
    except PhotoError as error:
        return Pixels(error.reason, str(error)), b""
    except OSError as error:  # it went away in between
        refusal = PhotoError("unreadable", error.strerror)
        return Pixels(refusal.reason, str(refusal)), b""
    size = (facts["width"], facts["height"])
    measures = cleanvision_measures(image, facts["mode"], size) | layout_measures(image)
    seen = Pixels(sha256=sha256(content).hexdigest(), measures=measures, **facts)
    return seen, mark_signature(image)


def _facts(header: Image.Image) -> dict[str, Any]:
    """What the stored picture is; width and height as it stands upright."""
    width, height = upright_size(header)
    return {
        "width": width,
        "height": height,
        "format": header.format or "",
        "mode": header.mode,
        "animated": header.format != "MPO" and _has_second_frame(header),
    }


def _has_second_frame(header: Image.Image) -> bool:
    try:
        header.seek(1)
    except EOFError:
        return False
    return True


def _record(pixels: Pixels) -> dict[str, object]:
    record = asdict(pixels)
    return record | record.pop("measures")


def _tasks(table: Table, names: list[str]) -> Iterator[Task]:
    for start in range(0, len(names), PICTURES_PER_TASK):
        few = names[start : start + PICTURES_PER_TASK]
        yield tuple((name, str(table.path(name).absolute())) for name in few)


def _progress(
    results: Iterator[tuple[Task, list[tuple[Pixels, bytes]]]], total: int
) -> Iterable[tuple[Task, list[tuple[Pixels, bytes]]]]:
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    hidden = not (total > 1 and sys.stderr.isatty())
    return track(results, "measuring", total, console=console, transient=True, disable=hidden)


@contextmanager
def _cache(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FOLDER_NAME / "pixels.sqlite"
    path.parent.mkdir(exist_ok=True)
    try:
        with closing(sqlite3.connect(path)) as cache:
            if cache.execute("PRAGMA user_version").fetchone() != (VERSION,):
                cache.execute("DROP TABLE IF EXISTS pixels")
                cache.execute(f"PRAGMA user_version = {VERSION}")
            cache.execute(
                "CREATE TABLE IF NOT EXISTS pixels"
                " (name TEXT PRIMARY KEY, stamp TEXT, seen TEXT, signature BLOB)"
            )
            yield cache
    except sqlite3.Error as error:
        advice = "it only saves time, and may be deleted"
        raise OSError(None, f"{error} ({advice})", str(path)) from error


def _known(cache: sqlite3.Connection, stamps: Mapping[str, str]) -> dict[str, Pixels]:
    """What the cache holds of files that have not changed since."""
    rows = cache.execute("SELECT name, stamp, seen FROM pixels")
    return {name: Pixels(**json.loads(seen)) for name, at, seen in rows if stamps.get(name) == at}


def _keep(
    cache: sqlite3.Connection,
    stamps: Mapping[str, str],
    seen: Iterable[tuple[str, tuple[Pixels, bytes]]],
) -> None:
    rows = [
        (name, stamps[name], json.dumps(asdict(pixels)), signature)
        for name, (pixels, signature) in seen
        if not pixels.refusal
    ]
    with cache:
        cache.executemany("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?, ?)", rows)
