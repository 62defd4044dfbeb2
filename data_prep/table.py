"""The dataset folder as a table: what every step takes and returns.

A step adds columns or sets `status` and `reject_reason`; it removes no row and no file. It never
changes the verdict of a person, but where there is no picture to use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ideitify.dataset import COLUMNS, DatasetError, read_rows, write_rows

KEPT, REJECTED, REVIEW = "kept", "rejected", "review"
DECIDED_BY = "decided_by"  # extra column: who reviewed the row; "" where no person has


def column_of(rows: pd.DataFrame, name: str) -> pd.Series[str]:
    """A column that not every table has: empty where this one has none."""
    return rows.get(name, pd.Series("", rows.index))


def own_where_empty(names: pd.Series[str]) -> pd.Series[str]:
    """A column that names groups: a row that it leaves out is a group of its own."""
    return names.mask(names == "", names.index.to_series())


@dataclass
class Table:
    """A dataset folder in memory.

    Attributes:
        folder: where `metadata.csv` and the pictures lie.
        rows: one row a picture, every column text ("" where empty), indexed by `file_name`.
    """

    folder: Path
    rows: pd.DataFrame

    def path(self, file_name: str) -> Path:
        """Where a picture lies."""
        return self.folder / file_name

    def having(self, *statuses: str) -> pd.DataFrame:
        """The rows of these statuses (all that are not rejected, if none is given)."""
        if not statuses:
            return self.rows[self.rows["status"] != REJECTED]
        return self.rows[self.rows["status"].isin(statuses)]

    def reject(self, file_name: str, reason: str) -> None:
        """Take a picture out; the first reason stays, and so does what a person decided."""
        self.reject_all({file_name: reason})

    def reject_all(self, reasons: Mapping[str, str], *, though_decided: bool = False) -> None:
        """Take pictures out, for a reason each; far faster than one by one.

        Args:
            though_decided: also those that a person kept: their files are of no use to anyone.
        """
        self._mark(reasons, (KEPT, REVIEW), REJECTED, though_decided)

    def doubt(self, file_name: str, reason: str) -> None:
        """Leave a picture to a person; the first reason stays, and so does what one decided."""
        self.doubt_all({file_name: reason})

    def doubt_all(self, reasons: Mapping[str, str]) -> None:
        """Leave pictures to a person, for a reason each; far faster than one by one."""
        self._mark(reasons, (KEPT,), REVIEW)

    def _mark(
        self, reasons: Mapping[str, str], of: Sequence[str], status: str, decided: bool = False
    ) -> None:
        rows = self.rows.loc[list(reasons), ["status", DECIDED_BY]]
        names = rows.index[rows["status"].isin(of) & (decided | (rows[DECIDED_BY] == ""))]
        self.rows.loc[names, "status"] = status
        self.rows.loc[names, "reject_reason"] = [reasons[str(name)] for name in names]

    def save(self) -> None:
        """Write `metadata.csv` atomically."""
        records = self.rows.reset_index().to_dict("records")
        write_rows(self.folder, [{str(k): v for k, v in record.items()} for record in records])


def read_table(folder: Path) -> Table:
    """Read a dataset folder, whatever the status of its rows; missing columns are added empty.

    Rows without a file are kept here: `validate` rejects them.

    Raises:
        DatasetError: see `read_rows`; or two rows for one file, or no row.
    """
    records = read_rows(folder)
    if not records:
        raise DatasetError(f"{folder} lists no picture: run python -m scraper harvest first")
    rows = pd.DataFrame(records, dtype=str)
    for column in (*COLUMNS, DECIDED_BY):
        if column not in rows:
            rows[column] = ""
    twice = rows.loc[rows["file_name"].duplicated(), "file_name"]
    if len(twice):
        raise DatasetError(f"{folder}/metadata.csv has two rows for {twice.iloc[0]}; keep one")
    rows.loc[rows["status"] == "", "status"] = KEPT
    return Table(folder, rows.set_index("file_name"))
