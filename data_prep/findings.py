"""What there is to tell about a dataset folder: counted from its table, state and decisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from data_prep.state import read_changes, read_state
from data_prep.steps import STEPS
from data_prep.table import KEPT, REJECTED, REVIEW, Table, column_of, own_where_empty
from ideitify.decisions import Agreement, Decision, agreements, read_decisions, standing
from ideitify.knowledge import has_entry, knowledge
from ideitify.licenses import Permits, normalize
from ideitify.review import read_guesses, reason_kind

STATUSES = (KEPT, REVIEW, REJECTED)
_ISSUE = re.compile(r"is_(\w+)_issue")
LABEL = "label"  # the check whose pictures have a section of their own
CONFLICT = "label conflict"  # of copies that have different categories: both are shown


@dataclass(frozen=True)
class Shown:
    """A picture, and what is written under it.

    Attributes:
        page: where it came from, "" unless that is a web address.
    """

    file_name: str
    caption: str
    status: str
    page: str


@dataclass(frozen=True)
class Kind:
    """A kind of issue and the pictures that have it; the worst, or the first, are shown."""

    name: str
    statuses: dict[str, int]
    shown: list[Shown]

    @property
    def pictures(self) -> int:
        """How many have it."""
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Category:
    """One category; sources and splits are those of its kept pictures."""

    slug: str
    name: str
    statuses: dict[str, int]
    sources: Counter[str]
    splits: Counter[str]
    sheet: list[Shown]

    @property
    def largest_source(self) -> str:
        """The source of most kept pictures, with its share; "" where none is kept."""
        if not self.sources:
            return ""
        source, count = self.sources.most_common(1)[0]
        return f"{source} {count / self.sources.total():.0%}"


@dataclass(frozen=True)
class StepTaken:
    """What one step did: to how many pictures it gave which status, and what it told."""

    name: str
    help: str
    when: str
    became: dict[str, int]
    messages: list[str]


@dataclass(frozen=True)
class Reviewer:
    """What one person decided, by action, undone decisions apart."""

    name: str
    actions: Counter[str]


@dataclass(frozen=True)
class Limits:
    """How many pictures are shown: on a category's sheet, of a kind of issue, and groups."""

    per_category: int
    per_issue: int
    groups: int


@dataclass(frozen=True)
class Findings:
    """All of it.

    Attributes:
        statuses: pictures of each status, before and after in one.
        sources, licenses, splits: of kept pictures, the most frequent first.
        permits: licence -> what it permits.
        short_sides: of kept pictures, in pixels.
        categories: the largest first.
        copies: groups of copies, the kept picture of each first.
        conflicts: pictures whose label is in doubt.
    """

    statuses: dict[str, int]
    sources: Counter[str]
    licenses: Counter[str]
    permits: dict[str, Permits]
    splits: Counter[str]
    short_sides: list[int]
    categories: list[Category]
    steps: list[StepTaken]
    kinds: list[Kind]
    copies: list[list[Shown]]
    conflicts: list[Shown]
    agreements: list[Agreement]
    reviewers: list[Reviewer]

    def names(self) -> list[str]:
        """The file names of all pictures that are shown."""
        lists = [
            *(category.sheet for category in self.categories),
            *(kind.shown for kind in self.kinds),
            *self.copies,
            self.conflicts,
        ]
        return list(dict.fromkeys(shown.file_name for each in lists for shown in each))


def find(table: Table, limits: Limits) -> Findings:
    """Count everything.

    Raises:
        DatasetError: decisions.csv cannot be read.
        StateError: the state of the folder is damaged.
    """
    rows = table.rows
    kept = rows[rows["status"] == KEPT]
    licenses = Counter(
        normalize(name, url) for name, url in zip(kept["license"], kept["license_url"], strict=True)
    )
    decisions = read_decisions(table.folder)
    return Findings(
        statuses=_statuses(rows),
        sources=_counts(kept["source"]),
        licenses=Counter({license.id: n for license, n in licenses.most_common()}),
        permits={license.id: license.permits for license in licenses},
        splits=_counts(kept["split"]),
        short_sides=_short_sides(kept),
        categories=_categories(rows, limits.per_category),
        steps=_steps(table),
        kinds=_kinds(rows, limits.per_issue),
        copies=_copies(rows, limits.groups),
        conflicts=_conflicts(rows, limits.per_issue),
        agreements=agreements(decisions),
        reviewers=_reviewers(decisions),
    )


def category_name(slug: str) -> str:
    """What people call a category; the slug itself where no entry says."""
    return knowledge()[slug].name if has_entry(slug) else slug


def license_name(identifier: str) -> str:
    """A licence's identifier as one reads it in a list.

    >>> license_name("http://rightsstatements.org/vocab/InC/1.0/")
    'InC'
    """
    return re.sub(r"https?://rightsstatements\.org/\w+/([\w-]+)/.*", r"\1", identifier)


def _statuses(rows: pd.DataFrame) -> dict[str, int]:
    return {status: int((rows["status"] == status).sum()) for status in STATUSES}


def _counts(column: pd.Series[str]) -> Counter[str]:
    """Values by frequency; an empty one is "not said"."""
    return Counter(dict(Counter(value or "not said" for value in column).most_common()))


def _short_sides(rows: pd.DataFrame) -> list[int]:
    sides = rows[["width", "height"]].apply(pd.to_numeric, errors="coerce").min(axis=1)
    return [int(side) for side in sides.dropna()]


def _shown(row: pd.Series[str], caption: str) -> Shown:
    page = row["uri"] or row["url"]
    is_web = urlsplit(page).scheme in {"http", "https"}
    return Shown(str(row.name), caption, row["status"], page if is_web else "")


def _some(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """So many rows, evenly from first to last."""
    step = max(1, len(rows) // count)
    return rows.iloc[::step][:count]


def _categories(rows: pd.DataFrame, shown: int) -> list[Category]:
    categories = []
    for slug, pictures in rows.groupby("category"):
        kept = pictures[pictures["status"] == KEPT].sort_index()
        categories.append(
            Category(
                slug=str(slug),
                name=category_name(str(slug)),
                statuses=_statuses(pictures),
                sources=_counts(kept["source"]),
                splits=_counts(kept["split"]),
                sheet=[_shown(row, row["source"]) for _, row in _some(kept, shown).iterrows()],
            )
        )
    return sorted(categories, key=lambda each: (-each.statuses[KEPT], each.slug))


def _steps(table: Table) -> list[StepTaken]:
    runs = read_state(table.folder).runs
    taken = []
    for step in STEPS:
        run = runs.get(step.name)
        if run is None or run.finished is None:
            continue
        changes = read_changes(table.folder, step.name)
        became = Counter(changes.loc[changes["column"] == "status", "after"])
        when = run.finished.strftime("%Y-%m-%d %H:%M")
        taken.append(StepTaken(step.name, step.help, when, dict(became), run.messages))
    return taken


def _kinds(rows: pd.DataFrame, shown: int) -> list[Kind]:
    """Kinds that a column flags, then those that only a reason names."""
    kinds = []
    for column in rows.columns:
        match = _ISSUE.fullmatch(str(column))
        if match and match[1] != LABEL:
            flagged = rows[rows[column].str.casefold() == "true"]
            kinds.append(_kind(match[1].replace("_", " "), flagged, f"{match[1]}_score", shown))
    flagged_kinds = {kind.name for kind in kinds}
    reasons = rows["reject_reason"].map(reason_kind)
    for reason, pictures in rows[reasons != ""].groupby(reasons):
        if not any(name in str(reason) for name in flagged_kinds | {LABEL}):
            kinds.append(_kind(str(reason), pictures, "", shown))
    return sorted((kind for kind in kinds if kind.pictures), key=lambda kind: -kind.pictures)


def _kind(name: str, rows: pd.DataFrame, score: str, shown: int) -> Kind:
    """The worst pictures first, by the column `score` where there is one."""
    scores = pd.to_numeric(column_of(rows, score), errors="coerce")
    worst = rows.loc[scores.sort_values(kind="stable").index[:shown]]
    pictures = [
        _shown(row, row["category"] if pd.isna(value) else f"{row['category']} {value:.2f}")
        for (_, row), value in zip(worst.iterrows(), scores[worst.index], strict=True)
    ]
    return Kind(name, _statuses(rows), pictures)


def _copies(rows: pd.DataFrame, shown: int) -> list[list[Shown]]:
    if "duplicate_of" not in rows:
        return []
    copies = rows[rows["duplicate_of"].isin(rows.index)]
    groups = sorted(copies.groupby("duplicate_of"), key=lambda group: (-len(group[1]), group[0]))
    shown_groups = [pd.concat([rows.loc[[str(kept)]], group]) for kept, group in groups[:shown]]
    return [
        [_shown(row, f"{row['category']}, {_size(row)}") for _, row in group.iterrows()]
        for group in shown_groups
    ]


def _size(row: pd.Series[str]) -> str:
    return f"{row['width']} × {row['height']}"


def _conflicts(rows: pd.DataFrame, shown: int) -> list[Shown]:
    """Pictures in review for their label, the most doubtful first, those of one group together."""
    guesses, suggested, groups = (
        column_of(rows, name) for name in ("guesses", "suggested_category", "duplicate_group")
    )
    doubted = rows["reject_reason"].str.startswith(LABEL) | (guesses != "")
    doubted &= rows["status"] == REVIEW
    torn = groups[doubted & rows["reject_reason"].str.startswith(CONFLICT) & (groups != "")]
    pictures = rows[doubted | (groups.isin(torn) & (rows["status"] != REJECTED))]
    scores = pd.to_numeric(column_of(pictures, "label_score"), errors="coerce")
    place = own_where_empty(groups[pictures.index])
    worst = scores.groupby(place).transform("min")
    pictures = pictures.iloc[np.lexsort((scores, place, worst))]
    return [
        _shown(row, _doubt(row, guesses[str(name)], suggested[str(name)]))
        for name, row in pictures[:shown].iterrows()
    ]


def _doubt(row: pd.Series[str], guesses: str, suggested: str) -> str:
    others = [f"{slug} {share:.0%}" for slug, share in read_guesses(guesses)]
    others = [words for words in others if words.split()[0] != row["category"]] or [suggested]
    if others == [""]:
        return f"{row['category']}? {row['reject_reason']}"
    return f"{row['category']}, or {', '.join(others[:2])}?"


def _reviewers(decisions: Sequence[Decision]) -> list[Reviewer]:
    made: dict[str, Counter[str]] = {}
    for by_reviewer in standing(decisions).values():
        for who, decision in by_reviewer.items():
            made.setdefault(who, Counter())[decision.action] += 1
    return [Reviewer(who, made[who]) for who in sorted(made, key=lambda who: -made[who].total())]
