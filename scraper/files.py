"""Where pictures lie, and how each gets there whole or not at all.

A run downloads into `.partial/<run>/`. Once a picture was looked at, its file is named after its
hash; the ledger decides; then the file moves to `images/<category>/` in one step. Whatever kills
the run in between, the next one finds the dead run's folder (its lock is free), moves what the
ledger knows to its place, and removes the rest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from scraper.ledger import Ledger
from scraper.ledger.records import Item, Outcome, Settled

PARTIAL = ".partial"


@dataclass(frozen=True)
class Run:
    """One process at work in a dataset folder.

    Attributes:
        id: what it claims items by.
        folder: the dataset folder.
        partial: where its files lie until they are complete.
    """

    id: str
    folder: Path
    partial: Path

    def complete(self, path: Path, item: Item, sha256: str, suffix: str) -> None:
        """Rename a file that has arrived and was looked at, so that `recover` knows what it is."""
        path.replace(self._completed(item, sha256, suffix))

    def put_away(self, settled: Settled) -> None:
        """Move a stored picture to its place; remove any other."""
        item, arrived = settled.attempt.item, settled.attempt.arrived
        if arrived is None:
            return
        path = self._completed(item, arrived.sha256, arrived.suffix)
        if settled.outcome is Outcome.STORED:
            _move(path, self.folder / settled.file_name)
        else:
            path.unlink(missing_ok=True)

    def _completed(self, item: Item, sha256: str, suffix: str) -> Path:
        return self.partial / f"{sha256}.{item.key[:16]}{suffix}"


@contextmanager
def run_in(folder: Path, ledger: Ledger) -> Iterator[Run]:
    """Work in a dataset folder, after tidying up behind runs that were killed.

    Raises:
        OSError: the folder cannot be written.
    """
    partials = folder / PARTIAL
    partials.mkdir(parents=True, exist_ok=True)
    recover(folder, ledger)
    run = Run(uuid4().hex, folder, partials)
    lock = FileLock(partials / f"{run.id}.lock")
    with lock:
        run = Run(run.id, folder, partials / run.id)
        run.partial.mkdir()
        try:
            yield run
        finally:
            _end(run.id, folder, ledger)


def recover(folder: Path, ledger: Ledger) -> None:
    """Finish or undo what killed runs left behind."""
    for run in {path.stem for path in (folder / PARTIAL).glob("*")}:
        try:
            with FileLock(folder / PARTIAL / f"{run}.lock", blocking=False):
                _end(run, folder, ledger)
        except Timeout:  # this run is alive
            continue
    for name in ledger.withdrawn_files():
        (folder / name).unlink(missing_ok=True)


def _end(run: str, folder: Path, ledger: Ledger) -> None:
    """Move what the ledger recorded as stored and was not moved yet; remove the rest of a run."""
    partials = folder / PARTIAL
    for path in sorted((partials / run).glob("*")):
        name = ledger.file_name(path.name.partition(".")[0])
        if name and not (folder / name).exists():
            _move(path, folder / name)
    shutil.rmtree(partials / run, ignore_errors=True)
    ledger.release(run)
    (partials / f"{run}.lock").unlink(missing_ok=True)


def _move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except FileNotFoundError:  # the first of its category
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
