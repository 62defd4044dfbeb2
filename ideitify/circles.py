"""The taxonomy around an answer: what may be said when no single name is sure enough.

A circle is a set of a model's labels that the knowledge entries tie together: a deity with its
forms (the chains of `form_of`), a family within a tradition, a whole tradition. An unsure answer
names the narrowest circle whose labels are likely enough together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from ideitify.knowledge import Entry, find_entry, knowledge

Kind = Literal["form", "family", "tradition"]


@dataclass(frozen=True)
class Circle:
    """Labels that belong together, at least two and never `none`.

    Attributes:
        kind: what ties them together.
        name: the slug of the deity whose forms they are, the family's name, or the tradition's.
        tradition: of the family, of the deity, or the tradition itself.
        members: int (m,), which of the model's labels.
    """

    kind: Kind
    name: str
    tradition: str
    members: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Broader:
    """The circle that an unsure answer names, with the summed probability of its labels, 0..1."""

    kind: Kind
    name: str
    tradition: str
    probability: float

    def in_words(self, write: Callable[[str], str] = str) -> str:
        """ "a form of Vishnu", "a figure of ancient Greek religion (Olympian gods)".

        Args:
            write: how the name is written, in the markup of whoever shows the words.
        """
        if self.kind == "form":
            return f"a form of {write(find_entry(self.name).name)}"
        family = f" ({self.name})" if self.kind == "family" else ""
        return f"a figure of {write(mid_sentence(self.tradition) + family)}"

    def as_json(self) -> dict[str, Any]:
        """As the CLI and the HTTP API tell it."""
        return asdict(self)


def mid_sentence(tradition: str) -> str:
    """A tradition as it stands inside a sentence: "ancient Greek religion"."""
    return re.sub("^Ancient", "ancient", tradition)


def circles_of(labels: Sequence[str], entries: Mapping[str, Entry] | None = None) -> list[Circle]:
    """Every circle of two or more labels, the narrowest first; equal ones by kind, then by name.

    Args:
        labels: a model's labels, each with an entry.
        entries: those that ship with the project by default; reading them takes 0.2 s or so.
    """
    entries = knowledge() if entries is None else entries
    members: dict[tuple[Kind, str, str], list[int]] = defaultdict(list)
    for index, slug in enumerate(labels):
        for circle in _around(entries[slug], entries):
            members[circle].append(index)
    circles = [
        Circle(kind, name, tradition, np.array(indices))
        for (kind, name, tradition), indices in members.items()
        if len(indices) > 1
    ]
    order: list[Kind] = ["form", "family", "tradition"]
    return sorted(circles, key=lambda c: (len(c.members), order.index(c.kind), c.name))


def _around(entry: Entry, entries: Mapping[str, Entry]) -> Iterator[tuple[Kind, str, str]]:
    """(kind, name, tradition) of every circle around an entry; a deity is in that of its forms."""
    tradition = entry.tradition
    if tradition is None:  # `none`
        return
    if entry.family:
        yield "family", entry.family, tradition
    yield "tradition", tradition, tradition
    seen: set[str] = set()
    while entry.slug not in seen:
        seen.add(entry.slug)
        yield "form", entry.slug, entry.tradition or tradition
        entry = entries[entry.form_of] if entry.form_of else entry


def broader(probabilities: np.ndarray, circles: Sequence[Circle], least: float) -> Broader | None:
    """The narrowest circle whose summed probability is at least `least`; of equals the likeliest.

    Args:
        probabilities: float (labels,), calibrated, of all labels.
        circles: from `circles_of` for the same labels.
        least: 0..1, the bundle's `thresholds.broader`.
    """
    sums = [float(probabilities[circle.members].sum()) for circle in circles]
    likely = [(c, total) for c, total in zip(circles, sums, strict=True) if total >= least]
    if not likely:
        return None
    circle, total = min(likely, key=lambda pair: (len(pair[0].members), -pair[1]))
    return Broader(circle.kind, circle.name, circle.tradition, round(min(total, 1.0), 6))
