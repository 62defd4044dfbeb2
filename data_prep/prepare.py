"""Run steps on a dataset folder, each only if its input changed, and know where things stand."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
from pydantic import BaseModel

from data_prep.embed import bundle_manifest, bundle_source
from data_prep.state import (
    Input,
    Run,
    State,
    as_text,
    difference,
    fingerprint,
    forget_changes,
    is_in,
    read_changes,
    read_state,
    stamp,
    take_back,
    write_changes,
    write_state,
)
from data_prep.steps import STEPS, Step, load_settings
from data_prep.table import Table, read_table
from ideitify.bundle import MANIFEST_NAME
from ideitify.dataset import METADATA_NAME, PREPARED_NAME, DatasetError


@dataclass(frozen=True)
class Outcome:
    """What became of one step.

    Attributes:
        reason: why it ran; "" if it was skipped.
        statuses: pictures by status after it.
        messages: what it has to say.
        undone: later steps whose results it took back, since they stood on its old one.
    """

    step: str
    reason: str
    statuses: dict[str, int]
    messages: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)


def run_steps(
    folder: Path,
    steps: Sequence[Step] = STEPS,
    settings_file: Path | None = None,
    *,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Outcome]:
    """Run steps in order and save the table after each; yields what became of each.

    A step sees the table as if it and the steps after it had never run. It is skipped if that, its
    settings, its code and the files that it reads are what they were at its last run, and if the
    table still has its result.

    Args:
        folder: a dataset folder.
        settings_file: TOML with a section per step.
        force: run although nothing changed.
        options: `engine`, `workers`, `address` and `bundle`, for the steps that take them.

    Raises:
        DatasetError: the folder is not a dataset, or someone else changed its table meanwhile.
        ValueError: settings, state or bundle cannot be used; the message says why.
        OSError: the disk cannot be read or written.
    """
    table, options = read_table(folder), options or {}
    chosen = [(step, load_settings(settings_file, step)) for step in steps]
    if any("bundle" in step.options for step in steps):  # said now, not after hours of other steps
        bundle_manifest(options.get("bundle"))
    with _alone(folder):
        runner = _Runner(table, read_state(folder), options)
        for step, settings in chosen:
            yield runner.run(step, settings, force)


@dataclass(frozen=True)
class Standing:
    """Where a step stands.

    Attributes:
        run: its last run, None if it never ran.
        stale: why it is to run again; "" if it need not.
    """

    step: str
    run: Run | None
    stale: str


def standings(folder: Path) -> tuple[Table, list[Standing]]:
    """The table and where each step stands, settings apart: those are known when it runs.

    Raises:
        DatasetError: the folder is not a dataset.
        StateError: its state is damaged.
    """
    runner = _Runner(read_table(folder), read_state(folder), {})
    return runner.table, [runner.standing(step) for step in STEPS]


class _Runner:
    """The table and the state between steps."""

    def __init__(self, table: Table, state: State, options: Mapping[str, Any]) -> None:
        self.table = table
        self.state = state
        self.options = options
        self._stamp = stamp(table.folder / METADATA_NAME)

    def run(self, step: Step, settings: BaseModel, force: bool) -> Outcome:
        folder, last = self.table.folder, self.state.runs.get(step.name)
        seen = self._seen_by(step)
        now = self._input(step, seen, settings)
        reason = _why(last, now) or self._lost(step) or ("forced" if force else "")
        if last and not reason:
            return Outcome(step.name, "", _statuses(self.table.rows), last.messages)
        run = Run(started=datetime.now(UTC), input=last.input if last else None)
        self.state.runs[step.name] = run
        write_state(folder, self.state)
        with _messages() as messages:
            options = {name: self.options[name] for name in step.options if name in self.options}
            worked = step.function(Table(folder, seen.copy()), settings, **options)
        undone = self._accept(step, seen, as_text(worked.rows))
        rows = fingerprint(self._seen_by(step))  # not `now.rows` where the step added pictures
        run.input = now.model_copy(update={"rows": rows})
        run.finished, run.messages = datetime.now(UTC), messages
        write_state(folder, self.state)
        return Outcome(step.name, reason, _statuses(self.table.rows), messages, undone)

    def standing(self, step: Step) -> Standing:
        last = self.state.runs.get(step.name)
        if last is None or last.input is None:
            return Standing(step.name, last, _why(last, None))
        now = {**self._rows_and_files(step, self._seen_by(step)), "version": step.version}
        stale = _why(last, last.input.model_copy(update=now)) or self._lost(step)
        return Standing(step.name, last, stale)

    def _seen_by(self, step: Step) -> pd.DataFrame:
        """The table without what this step and those after it did."""
        return self._without(STEPS[STEPS.index(step) :])

    def _left_by(self, step: Step) -> pd.DataFrame:
        """The table without what the steps after this one did."""
        return self._without(STEPS[STEPS.index(step) + 1 :])

    def _without(self, steps: Sequence[Step]) -> pd.DataFrame:
        rows = self.table.rows
        for step in reversed(steps):
            rows = take_back(rows, read_changes(self.table.folder, step.name))
        return rows

    def _lost(self, step: Step) -> str:
        """Why a step whose input is the same is to run again: an older table was put back."""
        changes = read_changes(self.table.folder, step.name)
        there = is_in(self._left_by(step), changes, every=step.binding)
        return "" if there else "its result is no longer in the table"

    def _input(self, step: Step, seen: pd.DataFrame, settings: BaseModel) -> Input:
        return Input(
            **self._rows_and_files(step, seen),
            version=step.version,
            settings=settings.model_dump(mode="json"),
            bundle=_bundle_identity(self.options) if "bundle" in step.options else "",
        )

    def _rows_and_files(self, step: Step, seen: pd.DataFrame) -> dict[str, str]:
        folder = self.table.folder  # which may be moved, or called by another path
        reads = step.reads(Table(folder, seen))
        files = [f"{path.relative_to(folder)} {stamp(path)}" for path in reads]
        digest = hashlib.sha256("\0".join(files).encode(errors="surrogateescape")).hexdigest()
        return {"rows": fingerprint(seen), "files": digest if files else ""}

    def _accept(self, step: Step, before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
        """Save what a step did. Wherever this is broken off, taking back leads to `before`.

        Returns:
            the later steps whose results are undone.
        """
        folder, changes = self.table.folder, difference(before, after)
        later = STEPS[STEPS.index(step) + 1 :]
        if later and fingerprint(self._left_by(step)) == fingerprint(after):
            write_changes(folder, step.name, changes)
            return []  # as at its last run: what the later steps made of it holds
        if not before.equals(self.table.rows):
            self._save(before)
        undone = []
        for other in later:
            forget_changes(folder, other.name)
            if (run := self.state.runs.get(other.name)) and run.input:
                run.input = None
                undone.append(other.name)
        write_changes(folder, step.name, changes)
        self._save(after)
        return undone

    def _save(self, rows: pd.DataFrame) -> None:
        metadata = self.table.folder / METADATA_NAME
        if stamp(metadata) != self._stamp:
            raise DatasetError(f"{metadata} was changed by someone else meanwhile: run this again")
        self.table.rows = rows
        self.table.save()
        self._stamp = stamp(metadata)


def _why(last: Run | None, now: Input | None) -> str:
    """Why a step is to run again; "" if it need not."""
    if last is None:
        return "never ran"
    if last.finished is None:
        return "was interrupted"
    if last.input is None or now is None:
        return "stands on an earlier step that ran again"
    if last.input == now:
        return ""
    names = [name for name, value in last.input if value != getattr(now, name)]
    words = {"version": "the step's code", "bundle": "the model bundle"}
    return f"{', '.join(words.get(name, f'the {name}') for name in names)} changed"


def _bundle_identity(options: Mapping[str, Any]) -> str:
    """A local bundle by its manifest, which has the hashes of its files; others by address."""
    source = bundle_source(options.get("bundle"))
    manifest = Path(source) / MANIFEST_NAME
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else source


def _statuses(rows: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(count) for name, count in rows["status"].value_counts().items()}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder."""
    (folder / PREPARED_NAME).mkdir(exist_ok=True)
    lock = filelock.FileLock(folder / PREPARED_NAME / "lock", timeout=0)
    try:
        with lock:
            yield
    except filelock.Timeout as error:
        raise DatasetError(f"another run is at work in {folder}: wait until it is done") from error


@contextmanager
def _messages() -> Iterator[list[str]]:
    """What steps log, collected."""
    messages: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("data_prep")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
