"""What there is to review in a dataset folder: doubtful pictures, the most doubtful first.

The page may import nothing but `ideitify`, and starts light; so this reads the rows of
`metadata.csv` as plain dictionaries, by the columns that the steps of `data_prep` leave there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ideitify.decisions import Decision, standing
from ideitify.knowledge import find_entry, has_entry

Row = Mapping[str, str]

MOST_SIDE_BY_SIDE = 8  # more would be too small to compare

UNKNOWN_DOUBT = 0.5  # a step wants a person to look, and gives no number
_REASON_ENDS = re.compile(r":| of (?=\d|\S+/)| \(|, ")  # after the kind comes which, or how many


@dataclass(frozen=True)
class Item:
    """A picture to review.

    Attributes:
        file_name, category: as in `metadata.csv`.
        doubt: 0..1, how likely the row is wrong as it stands.
        why: the step's reason for asking, in words; empty for a picture that is only shown beside
            a doubtful one.
        guesses: other categories it may be, likeliest first, each with a probability if that is
            known.
        group: what the pictures shown side by side have in common; empty if it is alone.
        decision: what this reviewer decided, None if nothing stands.
        others: how many other reviewers have decided.
        row: the whole row.
    """

    file_name: str
    category: str
    doubt: float
    why: str
    guesses: list[tuple[str, float | None]]
    group: str
    decision: Decision | None
    others: int
    row: Row = field(repr=False, compare=False)

    @property
    def asked(self) -> bool:
        """Whether a decision is wanted or made; else it is only shown beside such a picture."""
        return self.row.get("status") == "review" or self.decision is not None

    @property
    def place(self) -> str:
        """The same for pictures that are shown together."""
        return self.group or self.file_name


def review_queue(rows: Sequence[Row], decisions: Iterable[Decision], who: str) -> list[Item]:
    """The pictures whose status is `review` or that the reviewer decided on, and their copies.

    So a decision can still be taken back when it was applied and the row is in review no more.
    Groups stay together; the groups and single pictures are in order of their largest doubt.
    """
    decided = standing(decisions)
    groups = _small_groups(rows)
    asked = {row["file_name"] for row in rows if row.get("status") == "review"}
    asked |= {name for name, by_reviewer in decided.items() if who in by_reviewer}
    asked |= {name for names in groups.values() if asked & {*names} for name in names}
    group_of = {name: group for group, names in groups.items() for name in names}
    items = [
        _item(row, group_of.get(row["file_name"], ""), decided.get(row["file_name"], {}), who)
        for row in rows
        if row["file_name"] in asked
    ]
    most: dict[str, float] = defaultdict(float)
    for item in items:
        most[item.place] = max(most[item.place], item.doubt)
    return sorted(items, key=lambda item: (-most[item.place], item.place, -item.doubt))


def _small_groups(rows: Iterable[Row]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.get("duplicate_group") and row.get("status") != "rejected":
            groups[row["duplicate_group"]].append(row["file_name"])
    return {group: names for group, names in groups.items() if 1 < len(names) <= MOST_SIDE_BY_SIDE}


def _item(row: Row, group: str, decided: Mapping[str, Decision], who: str) -> Item:
    doubtful = row.get("status") == "review"
    return Item(
        file_name=row["file_name"],
        category=row["category"],
        doubt=_doubt(row) if doubtful else 0.0,
        why=row.get("reject_reason", "") if doubtful else "",
        guesses=_guesses(row),
        group=group,
        decision=decided.get(who),
        others=sum(bool(made.outcome) for name, made in decided.items() if name != who),
        row=row,
    )


def _doubt(row: Row) -> float:
    """From what `labels` and `weak` say of the row's category; the larger doubt counts."""
    doubts = [1 - float(row["label_score"])] if row.get("label_score") else []
    if row.get("weak_probability"):
        probability = float(row["weak_probability"])
        same = row.get("weak_category", row["category"]) == row["category"]
        doubts.append(1 - probability if same else max(probability, 1 - probability))
    return max(doubts, default=UNKNOWN_DOUBT)


def _guesses(row: Row) -> list[tuple[str, float | None]]:
    """What `weak` holds for likely, or else what `labels` suggests."""
    likely: list[tuple[str, float | None]] = [*read_guesses(row.get("guesses", ""))]
    suggested = row.get("suggested_category")
    if not likely and suggested:
        likely = [(suggested, None)]
    return [guess for guess in likely if guess[0] != row["category"]]


def write_guesses(guesses: Iterable[tuple[str, float]]) -> str:
    """The column `guesses`: `hanuman 0.81, rama 0.1`."""
    return ", ".join(f"{category} {probability:.2g}" for category, probability in guesses)


def read_guesses(text: str) -> list[tuple[str, float]]:
    """The column `guesses` as pairs; empty where it holds anything else."""
    try:
        pairs = [guess.rsplit(" ", 1) for guess in text.split(", ") if guess]
        return [(category, float(probability)) for category, probability in pairs]
    except ValueError:
        return []


def reason_kind(reason: str) -> str:
    """The part of a reason that several pictures share, without which or how many.

    >>> reason_kind("near duplicate of images/shiva/a.jpg"), reason_kind("label conflict: …")
    ('near duplicate', 'label conflict')
    """
    return _REASON_ENDS.split(reason, maxsplit=1)[0].strip()


def name_of(category: str) -> str:
    """What people call a category."""
    return find_entry(category).name if has_entry(category) else category.replace("-", " ")
