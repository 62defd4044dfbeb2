"""Divide the kept pictures into train, valid and test, so that they measure what they should.

Pictures of one source (photographer, repository, museum) look alike, so whole sources go to one
side: what `group` ties, what one `creator` made at one `source`, what one of its pages (`uri`)
shows, and copies and what is related to them. They are dealt out so that every category has about
the wanted shares. From a category that whole sources cannot divide (perhaps it has only one), as
many pictures as it takes then change sides, copies together; the step says how many pictures are
held out so.

Once dealt out, a picture never moves: `.data_prep/splits.csv` remembers every picture by its
content, whatever becomes of it later, and new pictures of a unit follow the old ones. A `split`
that was in the table before counts as dealt out, `validation` as `valid`. A new picture that ties
two old ones on different sides stays out; of two such old ones, the one outside train goes to
review.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_matrix

from data_prep.candidates import SearchSettings
from data_prep.copy_search import find_copies
from data_prep.embed import content_keys
from data_prep.glance import fill_hashes
from data_prep.links import linked, places
from data_prep.table import KEPT, Table, column_of
from data_prep.workers import Where
from ideitify.dataset import PREPARED_NAME, DatasetError
from ideitify.files import write_whole

SPLITS = ("train", "valid", "test")
OF_OTHERS = {"validation": "valid", "val": "valid", "dev": "valid"}  # their names -> ours
FREE, TORN = -1, -2  # of a unit: not dealt out yet; dealt out to several sides
NOBODY = {"", "unknown", "unknown author", "unknown artist", "anonymous", "various", "n/a"}
ROUNDS = 4  # of going through all units; more change nothing

logger = logging.getLogger(__name__)


class SplitSettings(BaseModel):
    """How much to hold out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid: float = Field(
        0.15, ge=0, le=0.4, description="share of each category to choose settings on"
    )
    test: float = Field(
        0.15, ge=0, le=0.4, description="share of each category to look at once, at the end"
    )
    tolerance: float = Field(
        0.5,
        ge=0,
        description="a category's shares may be off by this much of themselves, or by one picture, "
        "before it is divided by picture: with whole sources, closer is seldom possible",
    )
    seed: int = Field(0, description="decides between units of one size")
    copies: SearchSettings = Field(
        SearchSettings(), description="how far to look for copies that must not be torn apart"
    )


def split(
    table: Table, settings: SplitSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Fill the column `split` of kept pictures: train, valid or test.

    Raises:
        DatasetError: a `split` in the table is none.
        BundleError: the bundle cannot be used.
        OSError: `.data_prep` cannot be written.
    """
    table.rows["split"] = in_our_words(table.rows["split"])
    kept = Table(table.folder, table.having(KEPT).copy())
    fill_hashes(kept, **where)
    pairs = find_copies(kept, settings.copies, bundle=bundle, **where)
    keys = pd.Series(content_keys(table), table.rows.index, dtype=str)
    remembered = read_splits(table)
    before = pd.Series([remembered.get(key, "") for key in keys], keys.index, dtype=str)
    before = before.mask(table.rows["split"].isin(SPLITS), table.rows["split"])
    rows = table.rows[(table.rows["status"] == KEPT) | (before != "")]
    after = deal_out(rows, pairs, before[rows.index], settings)
    new = after[(after != "") & (before[after.index] == "")]
    write_splits(table, dict(zip(keys[new.index], new, strict=True)))
    table.rows.loc[kept.rows.index, "split"] = after[kept.rows.index]
    for held_out, other in leaks(table.rows["split"], pairs):
        table.doubt(held_out, f"near duplicate of {other}, which is on another side of the split")
        table.rows.at[held_out, "split"] = ""
    _tell(table.rows[table.rows["split"] != ""], pairs)
    return table


def in_our_words(given: pd.Series[str]) -> pd.Series[str]:
    """Sides as `SPLITS` has them, from those that came with a table.

    Raises:
        DatasetError: one of them means nothing here.
    """
    ours = given.str.strip().str.casefold().replace(OF_OTHERS)
    if unknown := sorted(set(given[~ours.isin(["", *SPLITS])])):
        raise DatasetError(
            f"metadata.csv has the split {', '.join(map(repr, unknown))}: write {', '.join(SPLITS)}"
            " or nothing"
        )
    return ours


def leaks(sides: pd.Series[str], pairs: pd.DataFrame) -> list[tuple[str, str]]:
    """Copies and related pictures on different sides: the one held out, or either, and the other.

    Args:
        sides: train, valid, test or "", by file name.
        pairs: as `find_copies` gives them.
    """
    both = zip(pairs["first"], pairs["second"], strict=True)
    torn = [(a, b) for a, b in both if sides[a] and sides[b] and sides[a] != sides[b]]
    return [(b, a) if sides[a] == "train" else (a, b) for a, b in torn]


def deal_out(
    rows: pd.DataFrame, pairs: pd.DataFrame, before: pd.Series[str], settings: SplitSettings
) -> pd.Series[str]:
    """Give every row a side.

    Args:
        rows: kept pictures, and others that were dealt out before.
        pairs: copies and related pictures, as `find_copies` gives them.
        before: the side of each row, "" for new ones.

    Returns:
        The side of each row; "" for new ones that tie pictures on different sides.
    """
    if rows.empty:
        return before
    kept = (rows["status"] == KEPT).to_numpy()
    fixed = pd.Index(SPLITS).get_indexer(pd.Index(before))  # FREE where there is none
    category = pd.factorize(rows["category"], sort=True)[0]
    shares = np.array([1 - settings.valid - settings.test, settings.valid, settings.test])

    source = sources(rows, pairs)
    side = _sides(source, fixed, kept)
    counts = csr_matrix((kept.astype(float), (source, category)))
    order = _chance(rows.index, source, settings.seed)
    side = _deal(counts, side, np.flatnonzero(side == FREE), shares, order)[source]

    badly = _badly_divided(np.where(fixed >= 0, fixed, side), category, kept, shares, settings)
    alike = alike_pictures(rows, pairs)
    dealt = _sides(alike, fixed, kept)
    by_source = pd.Series(side).mask(side == TORN, FREE).groupby(alike).first().to_numpy()
    counts = csr_matrix((kept.astype(float), (alike, category)))
    to_move = np.isin(category, badly) | (by_source[alike] == FREE)
    movable = np.setdiff1d(alike[to_move], np.flatnonzero(dealt != FREE))
    start = np.where(dealt == FREE, by_source, dealt)
    order = _chance(rows.index, alike, settings.seed)
    side = _deal(counts, start, movable, shares, order)[alike]

    names = np.array([*SPLITS, "", ""], dtype=object)  # FREE and TORN count from the end
    return pd.Series(names[np.where(fixed >= 0, fixed, side)], rows.index, dtype=str)


def alike_pictures(rows: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """A number for each row: the same for copies and what is related to them."""
    return linked(column_of(rows, "duplicate_group"), edges=places(rows, pairs))


def sources(rows: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """A number for each row: the same for pictures of one source, and for what is alike to them."""
    creator = rows["creator"].str.strip().str.casefold()
    maker = (rows["source"] + "\0" + creator).mask(creator.isin(NOBODY))
    page = (rows["source"] + "\0" + rows["uri"]).mask(rows["uri"] == "")  # views of one object
    alike = column_of(rows, "duplicate_group")
    return linked(alike, rows["group"], maker, page, edges=places(rows, pairs))


def read_splits(table: Table) -> dict[str, str]:
    """The side of every picture that was ever dealt out, by its content."""
    path = _splits_path(table)
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {line[0]: line[1] for line in csv.reader(file) if line[1:] and line[1] in SPLITS}


def write_splits(table: Table, new: Mapping[str, str]) -> None:
    """Add pictures to those that were dealt out; the old ones stay where they are."""
    if new:
        dealt = {**new, **read_splits(table)}
        lines = [f"{key},{side}\n" for key, side in dealt.items() if key]
        write_whole(_splits_path(table), "".join(lines))


def _splits_path(table: Table) -> Path:
    return table.folder / PREPARED_NAME / "splits.csv"


def _tell(rows: pd.DataFrame, pairs: pd.DataFrame) -> None:
    sizes = rows["split"].value_counts()
    logger.info("%s", ", ".join(f"{sizes.get(name, 0)} {name}" for name in SPLITS))
    source, trained = sources(rows, pairs), (rows["split"] == "train").to_numpy()
    known = np.isin(source, source[trained]) & ~trained
    if known.any():
        categories = ", ".join(sorted(set(rows.loc[known, "category"])))
        message = "%d held-out pictures are of sources that train has too, in %s"
        logger.info(message, known.sum(), categories)


def _deal(
    counts: csr_matrix, side: np.ndarray, movable: np.ndarray, shares: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Move units, the largest first, each to the side where it is missed most.

    Args:
        counts: (units, categories) pictures.
        side: (units,), where they are: the number of a side, FREE or TORN.
        movable: which units may move, or get their first side.
        shares: wanted of each side.
        order: (units,), decides between units of one size.

    Returns:
        Where they are then.
    """
    side = side.copy()
    wanted = np.maximum(np.outer(shares, counts.sum(axis=0)), 1e-6)
    have = np.stack([np.ravel(counts[side == each].sum(axis=0)) for each in range(len(shares))])
    size = np.ravel(counts.sum(axis=1))[movable]
    for unit in np.tile(movable[np.lexsort((order[movable], -size))], ROUNDS):
        part = slice(counts.indptr[unit], counts.indptr[unit + 1])
        categories, pictures = counts.indices[part], counts.data[part]
        if side[unit] >= 0:
            have[side[unit], categories] -= pictures
        over = have[:, categories] - wanted[:, categories]
        cost = (pictures * (2 * over + pictures) / wanted[:, categories]).sum(axis=1)
        side[unit] = cost.argmin()
        have[side[unit], categories] += pictures
    return side


def _sides(unit: np.ndarray, fixed: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The side of each unit: that of its kept pictures, else the first of the others', or FREE."""
    units = np.arange(unit.max(initial=-1) + 1)
    dealt = pd.DataFrame({"unit": unit, "side": fixed, "kept": kept})[fixed >= 0]
    others = dealt.groupby("unit")["side"].min().reindex(units)
    now = dealt[dealt["kept"]].groupby("unit")["side"].agg(["min", "max"]).reindex(units)
    side = now["min"].mask(now["min"] < now["max"], TORN)
    return side.fillna(others).fillna(FREE).to_numpy(int)


def _badly_divided(
    side: np.ndarray,
    category: np.ndarray,
    kept: np.ndarray,
    shares: np.ndarray,
    settings: SplitSettings,
) -> np.ndarray:
    """Categories whose held-out shares are too far off."""
    counts = pd.crosstab(category[kept], side[kept]).reindex(columns=range(3), fill_value=0)
    wanted = np.outer(counts.sum(axis=1), shares)
    off = np.abs(counts.to_numpy() - wanted) > np.maximum(1, settings.tolerance * wanted)
    return counts.index[off[:, 1:].any(axis=1)].to_numpy()


def _chance(names: pd.Index[str], unit: np.ndarray, seed: int) -> np.ndarray:
    """A number for each unit that depends on the seed and the unit's first name alone."""
    first = pd.Series(names).groupby(unit).min()
    digests = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in first]
    return np.array([int.from_bytes(digest[:7], "big") for digest in digests])
