"""What a publication is, wherever it goes."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data_prep.publish.credits import ATTRIBUTION_NAME, attribution_file
from data_prep.publish.facts import Facts
from data_prep.publish.selection import Selection
from ideitify.dataset import METADATA_NAME, write_rows

Version = Literal["new", "old", "unchanged", "unseen"]


@dataclass(frozen=True)
class Publication:
    """What goes, or went, to a data set's page.

    Attributes:
        page: its address.
        version: a `new` data set, a version of an `old` one, `unchanged`: nothing to publish, or
            `unseen`: without credentials, nobody asked what is there.
        notes: what changed since the last version.
        files: name -> bytes, of all that the version holds; pictures count as one.
        published: False for a rehearsal.
    """

    page: str
    version: Version
    notes: str
    files: dict[str, int]
    selection: Selection = field(repr=False)
    facts: Facts = field(repr=False)
    published: bool

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        done = "published" if self.published or self.version == "unchanged" else "to publish"
        withheld = (f"  {count} {reason}" for reason, count in self.selection.withheld.items())
        files = (f"  {name}  {file_size(size)}" for name, size in self.files.items())
        licenses = (f"  {count} {license}" for license, count in self.facts.licenses.items())
        return [
            f"{self.page}: {_WORDS[self.version]}",
            *([f"{self.notes}"] if self.notes else []),
            f"{self.facts.pictures} pictures {done}, by licence:",
            *licenses,
            *(["not published:", *withheld] if self.selection.withheld else []),
            f"files {done}:",
            *files,
        ]


_WORDS: dict[Version, str] = {
    "new": "a new data set",
    "old": "a new version",
    "unchanged": "nothing changed since the last version",
    "unseen": "there are no credentials, so that this is compared with no earlier version",
}


def version_of(asked: bool, previous: object | None, notes: str) -> Version:
    """What a publication is.

    Args:
        asked: whether there were credentials to ask for the last version.
        previous: the last version, None if there is none.
        notes: what changed since.
    """
    if not asked:
        return "unseen"
    if previous is None:
        return "new"
    return "old" if notes else "unchanged"


def documents(selection: Selection) -> dict[str, bytes]:
    """The files that go with the pictures wherever they go: name -> content."""
    return {
        METADATA_NAME: metadata_csv(selection.rows),
        ATTRIBUTION_NAME: attribution_file(selection).encode(),
    }


def metadata_csv(rows: list[dict[str, str]]) -> bytes:
    """Rows as the content of a `metadata.csv`."""
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), rows)
        return Path(folder, METADATA_NAME).read_bytes()


def file_size(size: int) -> str:
    """A number of bytes for people.

    >>> file_size(999), file_size(20_480), file_size(1_234_567), file_size(345_678_901)
    ('1 kB', '20 kB', '1.2 MB', '346 MB')
    """
    if size < 1e6:
        return f"{max(size / 1e3, 1):.0f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1e7 else f"{size / 1e6:,.0f} MB"


def sha256(content: bytes) -> str:
    """Hash of a file's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()
