"""Take pictures out, and never fetch them again."""

from __future__ import annotations

from glob import escape
from pathlib import Path, PurePosixPath

from ideitify.dataset import METADATA_NAME, PREPARED_NAME, read_rows, write_rows
from scraper.ledger import Ledger

# What data_prep made of the whole folder and makes anew when the table has changed.
MADE_OF_ALL = ("report.html", "explore.html", f"{PREPARED_NAME}/publish")


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
        remove(folder, name)
    if names and (folder / METADATA_NAME).is_file():
        rows = read_rows(folder)
        kept = [row for row in rows if row["file_name"] not in names]
        if len(kept) < len(rows):
            write_rows(folder, kept)
    return names


def remove(folder: Path, name: str) -> None:
    """Remove a picture from a dataset folder, and the small one that `data_prep` made of it.

    Raises:
        OSError: a file cannot be removed.
    """
    rest_of_hash = "?" * 48  # a small one is named after all of it, a picture after the beginning
    small = f"{PREPARED_NAME}/thumbnails/{escape(PurePosixPath(name).stem)}{rest_of_hash}.webp"
    for path in (folder / name, *folder.glob(small)):
        path.unlink(missing_ok=True)


def may_show(folder: Path) -> list[Path]:
    """Pages and archives in a dataset folder that may still have a picture that was removed."""
    return [path for name in MADE_OF_ALL if (path := folder / name).exists()]
