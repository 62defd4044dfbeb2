"""What of a dataset folder may be published: kept pictures whose licence allows passing them on.

Machine-made ones stay at home: they may show signs that no artist and no believer knows.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data_prep.table import KEPT, Table
from ideitify.dataset import COLUMNS, SYNTHETIC_SOURCE
from ideitify.files import sha256_of
from ideitify.knowledge import SLUG_PATTERN
from ideitify.licenses import (
    License,
    Policy,
    allowed,
    allows_derivatives,
    attribution,
    normalize,
    stated,
)


class PublishError(ValueError):
    """Nothing, or nothing more, was published; the message says why and what to do."""


class SignedOut(PublishError):
    """There are no credentials; a rehearsal needs none."""


@dataclass(frozen=True)
class Picture:
    """A picture that goes.

    Attributes:
        path: where it lies here.
        row: what `metadata.csv` will say of it: `COLUMNS` alone, all text. Scores, and the names of
            those who reviewed, stay at home.
    """

    path: Path
    license: License
    row: dict[str, str]

    @property
    def name(self) -> str:
        """Its path in what is published."""
        return self.row["file_name"]


@dataclass(frozen=True)
class Selection:
    """The pictures that go, in order of their names, and how many do not, by reason."""

    pictures: list[Picture]
    withheld: Counter[str]

    @property
    def rows(self) -> list[dict[str, str]]:
        """The `metadata.csv` that goes with the pictures."""
        return [picture.row for picture in self.pictures]

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(picture.path.stat().st_size for picture in self.pictures)

    def count(self, column: str) -> Counter[str]:
        """How many pictures have each value of a column, the most frequent first."""
        return Counter(dict(Counter(row[column] for row in self.rows).most_common()))


def select(table: Table, policy: Policy) -> Selection:
    """Choose what may be published: to use a picture is to cut and scale it, so it must allow that.

    Args:
        policy: the licences that are good enough, as in `ideitify.licenses.allowed`.

    Raises:
        PublishError: no picture is left; or one of them is missing, is not the one that the table
            describes, or has a category that cannot be a folder.
    """
    pictures: dict[str, Picture] = {}
    withheld: Counter[str] = Counter()
    for file_name, cells in table.rows.to_dict("index").items():
        row = {str(column): str(cell) for column, cell in cells.items()}
        license = normalize(row["license"], row["license_url"])
        if row["status"] != KEPT:
            withheld[row["status"]] += 1
        elif row["source"] == SYNTHETIC_SOURCE:
            withheld["made by a machine"] += 1
        elif not (allowed(license, policy) and allows_derivatives(license)):
            withheld[f"with licence {license.id}"] += 1
        else:
            picture = _picture(table.path(str(file_name)), row, license)
            withheld["that are there twice"] += picture.name in pictures
            pictures.setdefault(picture.name, picture)
    divided = {name: picture for name, picture in pictures.items() if picture.row["split"]}
    if divided:  # a loader would take one without a split for a training picture, or all of them
        withheld["without a split"] += len(pictures) - len(divided)
        pictures = divided
    if not pictures:
        reasons = ", ".join(f"{count} {reason}" for reason, count in withheld.most_common())
        raise PublishError(f"no picture of {table.folder} may be published: {reasons}")
    return Selection([pictures[name] for name in sorted(pictures)], +withheld)


def _picture(path: Path, row: dict[str, str], license: License) -> Picture:
    """Name it anew by category and content: one that was relabelled lies in its old folder yet."""
    if not re.fullmatch(SLUG_PATTERN, row["category"]):
        raise PublishError(f"{path} has the category {row['category']!r}: give it a slug")
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise PublishError(f"{path} cannot be read ({error.strerror}): {_PREPARE}") from error
    if row["sha256"] not in {"", sha256}:
        raise PublishError(f"{path} is not the picture that metadata.csv describes: {_PREPARE}")
    name = f"images/{row['category']}/{sha256[:16]}{path.suffix.lower()}"
    known = {
        "file_name": name,
        "sha256": sha256,
        "license": license.id,
        "license_url": license.url,
        "attribution": _credit(row, license),
    }
    return Picture(path, license, {column: (row | known)[column] for column in COLUMNS})


def _credit(row: dict[str, str], license: License) -> str:
    """The credit that is there, unless the row's creator or licence was corrected since."""
    there, page = row["attribution"], row["uri"] or row["url"]
    if there and row["creator"] in there and stated(there) in {None, license}:
        return there
    return attribution(row["title"], row["creator"], row["source"], page, license)


_PREPARE = "run python -m data_prep prepare"
