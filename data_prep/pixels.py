"""What is seen of every picture (`data_prep.decode`), kept between runs.

The cache is `.data_prep/pixels.sqlite`. A row holds for as long as its file has the same size and
time of change, so an interrupted run goes on where it stopped. A picture that cannot be read is not
kept: it may be mended, and the limits on what is read may be raised.
"""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from data_prep.decode import Pixels, Task, measure_task, refused
from data_prep.looks import MARK_SIDE
from data_prep.state import stamp
from data_prep.table import Table
from data_prep.workers import PICTURES_PER_TASK, Where, run_on_pictures
from ideitify.dataset import PREPARED_NAME
from ideitify.photo import PhotoError

VERSION = 3  # of the measures: another number empties the cache


def measure(table: Table, **where: Unpack[Where]) -> pd.DataFrame:
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
        missing = [(name, str(table.path(name).absolute())) for name in stamps if name not in found]
        fatal = refused(PhotoError("fatal"))
        results = run_on_pictures(missing, measure_task, fatal=fatal, **where)
        for task, seen in _progress(results, math.ceil(len(missing) / PICTURES_PER_TASK)):
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


def _record(pixels: Pixels) -> dict[str, object]:
    record = asdict(pixels)
    return record | record.pop("measures")


def _progress(
    results: Iterator[tuple[Task, list[tuple[Pixels, bytes]]]], total: int
) -> Iterable[tuple[Task, list[tuple[Pixels, bytes]]]]:
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    hidden = not (total > 1 and sys.stderr.isatty())
    return track(results, "measuring", total, console=console, transient=True, disable=hidden)


@contextmanager
def _cache(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / PREPARED_NAME / "pixels.sqlite"
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
