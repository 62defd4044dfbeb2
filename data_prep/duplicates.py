"""Keep the best of the copies of one picture, and see who shows it under another name.

Exact copies have one sha256; near ones are candidates by hash or embedding (`candidates`) that
agree when they are laid over each other (`copies`).

Columns: `duplicate_group`, a name shared by copies and what is related to them (a detail, a changed
version, another view of the same object), "" for others; `duplicate_of`, for a rejected copy, the
picture that is kept instead; and `group`.

How `group` is made. It says which pictures a split must not tear apart. What was there before (the
source: a photographer, a repository, a museum's object) stays, and is joined: two pictures are in
one group if they were before, or if both stay and are copies or related, and so on by any number of
such steps. A joined group has the first of its names in the alphabet. A rejected copy gets the
`group` of the picture that is kept instead, and joins nothing: once it is out, its source and the
other have no picture in common.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from data_prep.candidates import SearchSettings
from data_prep.copies import Relation
from data_prep.copy_search import find_copies
from data_prep.glance import Glance, fill_hashes, glances
from data_prep.links import linked, places
from data_prep.table import DECIDED_BY, KEPT, REJECTED, Table
from data_prep.workers import Where
from ideitify.licenses import Permits, normalize

SAME_SIZE = 1.1  # steps of pixels: margins are measured to a line or two
SAME_SHARPNESS = 1.3  # steps: strong compression changes it by 0.1, tripling the size by 2
_PERMITS: tuple[Permits, ...] = ("open", "noncommercial", "unknown", "restricted")  # best first

logger = logging.getLogger(__name__)


class DuplicatesSettings(SearchSettings):
    """How far to look for copies."""


def duplicates(
    table: Table, settings: DuplicatesSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Group copies, keep the best of each group, reject the others; label conflicts go to review.

    The best is the one that a person kept, else a kept rather than a doubtful one, else the largest
    (plain margins not counted), then the sharpest, freest, with least margin, oldest. The same
    picture under two categories is a conflict, unless a person decided on one of its copies.

    Raises:
        BundleError: the bundle cannot be used.
        OSError: the cache in `.data_prep` cannot be written.
    """
    standing = Table(table.folder, table.having().copy())
    fill_hashes(standing, **where)
    table.rows.loc[standing.rows.index, "perceptual_hash"] = standing.rows["perceptual_hash"]
    pairs = find_copies(standing, settings, bundle=bundle, **where)
    copies = [name for group in copy_groups(pairs) for name in group]
    decide(table, pairs, best_first(table, copies, **where))
    return table


def decide(table: Table, pairs: pd.DataFrame, order: Mapping[str, Any]) -> None:
    """Fill the columns, reject copies and doubt conflicts.

    Args:
        pairs: as `find_copies` gives them.
        order: sort key of every picture that has a copy; the best one's is the least.
    """
    table.rows["duplicate_group"] = _named_by_first(table.rows, pairs)
    table.rows["duplicate_of"] = ""
    groups = copy_groups(pairs)
    members = table.rows.loc[[name for group in groups for name in group]]
    category_of = dict(zip(members.index, members["category"], strict=True))
    decided = set(members.index[members[DECIDED_BY] != ""])
    kept_of: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    for group in groups:
        copies, in_conflict = _settle(sorted(group, key=order.__getitem__), category_of, decided)
        kept_of |= copies
        conflicts |= in_conflict
    _reject_copies(table, kept_of)
    table.doubt_all(conflicts)
    table.rows["group"] = join_groups(table.rows, pairs)
    message = "groups of copies: %d; copies rejected: %d; pictures with conflicting labels: %d"
    logger.info(message, len(groups), len(kept_of), len(conflicts))


def copy_groups(pairs: pd.DataFrame) -> list[list[str]]:
    """Pictures that are copies of one another, directly or by way of others."""
    copies = pairs[pairs["relation"] == Relation.COPY]
    codes, names = pd.factorize(copies[["first", "second"]].to_numpy().ravel())
    component = linked(pd.Series("", range(len(names))), edges=codes.reshape(-1, 2))
    return [list(group) for _, group in pd.Series(names).groupby(component)]


def best_first(
    table: Table, names: Sequence[str], **where: Unpack[Where]
) -> dict[str, tuple[Any, ...]]:
    """A sort key for each of these pictures; the best one's is the least."""
    seen = glances(table, names, **where)
    records = table.rows.loc[list(names)].to_dict("index")
    keys = {}
    for name in names:
        row = records[name]
        look = seen[name] or Glance("", 0.0, 0.0)
        pixels = _number(row["width"]) * _number(row["height"]) * look.content
        keys[name] = (
            row[DECIDED_BY] == "",
            row["status"] != KEPT,
            -_steps(pixels, SAME_SIZE),
            -_steps(look.sharpness, SAME_SHARPNESS),
            _PERMITS.index(normalize(row["license"], row["license_url"]).permits),
            -look.content,
            row["retrieved_at"],
            name,
        )
    return keys


def join_groups(rows: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[str]:
    """The column `group`, as the text above says.

    Args:
        rows: with `duplicate_group` and `duplicate_of` filled.
        pairs: as `find_copies` gives them.
    """
    stays = rows.index[rows["status"] != REJECTED]
    tied = pairs[pairs["first"].isin(stays) & pairs["second"].isin(stays)]
    component = linked(rows["group"], edges=places(rows, tied))
    before = rows["group"].mask(rows["group"] == "").groupby(component).transform("min")
    has_copies = (rows["duplicate_group"] != "") & (rows["duplicate_of"] == "")
    own = rows.index.to_series().where(has_copies).groupby(component).transform("min")
    group = before.fillna(own).fillna("")
    copies = rows.index[rows["duplicate_of"] != ""]
    group[copies] = group[rows.loc[copies, "duplicate_of"]].to_numpy()
    return group


def _settle(
    members: Sequence[str], category_of: Mapping[str, str], decided: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Of copies of one picture, the best first: which are kept for which, and which conflict.

    Returns:
        Rejected copy -> the picture kept instead, and picture in conflict -> why.
    """
    by_person = [name for name in members if name in decided]
    best: dict[str, str] = {}
    for name in by_person or members:
        best.setdefault(category_of[name], name)
    kept_of = {
        name: best.get(category_of[name]) or by_person[0]
        for name in members
        if name not in by_person and name not in best.values()
    }
    conflicts = {
        name: ", ".join(f"{other} ({best[other]})" for other in best if other != category)
        for category, name in best.items()
        if not by_person and len(best) > 1
    }
    same = "label conflict: the same picture is under"
    return kept_of, {name: f"{same} {others}" for name, others in conflicts.items()}


def _reject_copies(table: Table, kept_of: Mapping[str, str]) -> None:
    rows, copies = table.rows, list(kept_of)
    kept = [kept_of[name] for name in copies]
    contents, others = rows.loc[copies, "sha256"].to_numpy(), rows.loc[kept, "sha256"].to_numpy()
    likeness = np.where((contents == others) & (contents != ""), "exact", "near")
    reasons = [f"{like} duplicate of {name}" for like, name in zip(likeness, kept, strict=True)]
    table.reject_all(dict(zip(copies, reasons, strict=True)))
    rows.loc[copies, "duplicate_of"] = kept


def _named_by_first(rows: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[str]:
    """Copies and what is related to them, by the first of their names; "" for other rows."""
    names = rows.index.to_series()
    in_pair = names.isin([*pairs["first"], *pairs["second"]])
    component = linked(pd.Series("", rows.index), edges=places(rows, pairs))
    return names.groupby(component).transform("min").where(in_pair, "")


def _steps(value: float, factor: float) -> int:
    return round(np.log(max(value, 1e-9)) / np.log(factor))


def _number(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
