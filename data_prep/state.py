"""Which step ran on which input, and what it changed: `.data_prep/` in the dataset folder.

`state.json` tells of each step's last run. `<step>.changes.csv` lists every cell that it changed,
with the value before and after, so that the run can be taken back: a step runs again on the table
as if it, and the steps after it, had never run. Without this folder nothing is lost but time: the
steps then start from what the table says.
"""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from ideitify.dataset import PREPARED_NAME
from ideitify.files import write_whole

CHANGES = ["file_name", "column", "before", "after"]  # file_name "": the whole column was added
FORMAT = 1


class StateError(ValueError):
    """`state.json` cannot be used; the message says what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Input(_Strict):
    """All that a step's result depends on.

    Attributes:
        rows: fingerprint of the table without what this step and later ones did to it.
        files: of the sizes and times of the files that the step reads; "" if it reads none.
        version: of the step's code.
        settings: every setting's value.
        bundle: which model bundle, "" if the step takes none.
    """

    rows: str
    files: str
    version: int
    settings: dict[str, Any]
    bundle: str


class Run(_Strict):
    """A step's last run.

    Attributes:
        finished: None while it runs, and for ever if it was interrupted.
        input: None until it finished once, and when an earlier step's new result undid it.
        messages: what it told its user.
    """

    started: datetime
    finished: datetime | None = None
    input: Input | None = None
    messages: list[str] = []


class State(_Strict):
    """The last run of each step, by name."""

    format: int = FORMAT
    runs: dict[str, Run] = {}


def read_state(folder: Path) -> State:
    """The state of a dataset folder; an empty one where no step ran.

    Raises:
        StateError: the file is damaged or of another version.
    """
    path = folder / PREPARED_NAME / "state.json"
    try:
        state = State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except ValidationError as error:
        raise StateError(f"{path} is damaged: delete it, and all steps run again") from error
    if state.format != FORMAT:
        raise StateError(f"{path} has format {state.format}: update the project, or delete it")
    return state


def write_state(folder: Path, state: State) -> None:
    """Write `state.json` atomically."""
    write_whole(folder / PREPARED_NAME / "state.json", state.model_dump_json(indent=1))


def read_changes(folder: Path, step: str) -> pd.DataFrame:
    """What a step's last run changed, columns `CHANGES`; no row where it did not run.

    Raises:
        StateError: the file is damaged.
    """
    path = _changes_path(folder, step)
    try:
        changes = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        return pd.DataFrame(columns=CHANGES, dtype=str)
    except ValueError as error:  # of pandas's parser, or of UTF-8
        raise StateError(f"{path} is damaged: delete it, and what it lists stays done") from error
    if list(changes.columns) != CHANGES:
        raise StateError(f"{path} is damaged: delete it, and what it lists stays done")
    return changes


def write_changes(folder: Path, step: str, changes: pd.DataFrame) -> None:
    """Write `<step>.changes.csv` atomically."""
    text = io.StringIO()
    changes.to_csv(text, index=False, lineterminator="\r\n")  # so that both are quoted in cells
    write_whole(_changes_path(folder, step), text.getvalue())


def forget_changes(folder: Path, step: str) -> None:
    """Delete `<step>.changes.csv`: its changes are taken back."""
    _changes_path(folder, step).unlink(missing_ok=True)


def _changes_path(folder: Path, step: str) -> Path:
    return folder / PREPARED_NAME / f"{step}.changes.csv"


def difference(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """What leads from one table to another with the same rows, and perhaps new ones: `CHANGES`."""
    added = after.columns.difference(before.columns, sort=False)
    parts = [pd.DataFrame({"column": added, "file_name": "", "before": "", "after": ""}, dtype=str)]
    for column in before.columns:
        old, new = before[column].to_numpy(), after.loc[before.index, column].to_numpy()
        changed = old != new
        cells = {"file_name": before.index[changed], "before": old[changed], "after": new[changed]}
        parts.append(pd.DataFrame({"column": column, **cells}, dtype=str))
    return pd.concat(parts, ignore_index=True)[CHANGES]


def take_back(rows: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """The table without a step's changes; a cell that was changed again since stays as it is."""
    added = changes["file_name"] == ""
    rows = rows.drop(columns=list(changes.loc[added, "column"]), errors="ignore")
    for column, same in _as_left(rows, changes).groupby("column"):
        rows.loc[same["file_name"], str(column)] = same["before"].to_numpy()
    return rows


def is_in(rows: pd.DataFrame, changes: pd.DataFrame, *, every: bool = False) -> bool:
    """Whether a table has a step's changes: its columns, and the cells of rows that are there.

    Args:
        every: all these cells; else one is enough, for people may have set some back.
    """
    added = changes["file_name"] == ""
    if not changes.loc[added, "column"].isin(rows.columns).all():
        return False
    cells = changes["file_name"].isin(rows.index).sum()
    left = len(_as_left(rows, changes))
    return left == cells if every else left > 0 or cells == 0


def _as_left(rows: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """Those of a step's changed cells that are as it left them."""
    cells = changes[changes["file_name"].isin(rows.index) & changes["column"].isin(rows.columns)]
    parts = [cells[:0]]
    for column, group in cells.groupby("column"):
        current = rows[str(column)].loc[group["file_name"]].to_numpy()
        parts.append(group[current == group["after"].to_numpy()])
    return pd.concat(parts)


def as_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text: "" for none, `true` or `false`, floats with six digits."""
    return pd.DataFrame({name: _column_as_text(rows[name]) for name in rows}, index=rows.index)


def _column_as_text(column: pd.Series[Any]) -> pd.Series[str]:
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("")
    return pd.Series([_text(value) for value in column], column.index, dtype=str)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def fingerprint(rows: pd.DataFrame) -> str:
    """A hash of a table's columns and cells, whatever the order of the columns."""
    rows = rows[sorted(rows.columns)]
    digest = hashlib.sha256("\0".join(rows.columns).encode())
    digest.update(pd.util.hash_pandas_object(rows, index=True).to_numpy().tobytes())
    return digest.hexdigest()


def stamp(path: Path) -> str:
    """A file's size and time of change; "" where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return ""
    return f"{facts.st_size} {facts.st_mtime_ns}"
