"""Take pictures out, and never fetch them again."""

from __future__ import annotations

from pathlib import Path

from ideitify.dataset import METADATA_NAME, read_rows, write_rows
from scraper.ledger import Ledger


def withdraw(ledger: Ledger, folder: Path, which: str) -> list[str]:
    """Withdraw what an id or address names: ledger first, then the file and its row.

    Copies that were made of the folder, and models trained on it, are not reached. Safe to repeat.

    Args:
        which: see `Ledger.withdraw`.

    Returns:
        File names of the pictures; none where the address is only remembered.

    Raises:
        LedgerError: nothing has this id, or several pictures have it.
        DatasetError: `metadata.csv` cannot be read; the picture is withdrawn all the same.
        OSError: a file cannot be removed.
    """
    names = ledger.withdraw(which)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if names and (folder / METADATA_NAME).is_file():
        rows = read_rows(folder)
        kept = [row for row in rows if row["file_name"] not in names]
        if len(kept) < len(rows):
            write_rows(folder, kept)
    return names
