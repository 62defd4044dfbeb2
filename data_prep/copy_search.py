"""Find all pairs of copies in a dataset: candidates from the indexes, each looked at once.

What looking showed is remembered in `.data_prep/copies-<version>.csv` by the contents of the two
pictures, so that an interrupted run goes on where it stopped and new pictures cost only their own
pairs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from data_prep.candidates import SearchSettings, candidate_pairs
from data_prep.copies import VERSION, Comparisons, Overlay, Relation, compare_task
from data_prep.embed import content_keys, embed
from data_prep.table import Table
from data_prep.workers import Where, batches
from ideitify.dataset import PREPARED_NAME
from ideitify.engine import run

PAIRS_PER_TASK = 128  # of about as many pictures, 0.4 MB of memory each

_KEY, _SHARE = r"([0-9a-f]{64})", r"([01]\.\d{4})"
_LINE = re.compile(rf"^{_KEY},{_KEY},{_SHARE},{_SHARE},{_SHARE}$", re.MULTILINE)

Pair = tuple[str, str]

logger = logging.getLogger(__name__)


def find_copies(
    table: Table, settings: SearchSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> pd.DataFrame:
    """Find the pairs of rows that are copies of, or related to, one another.

    Pictures without a `perceptual_hash` (see `fill_hashes`) are found by their embedding alone,
    those that cannot be read not at all. Of rows with one content, only the first is compared with
    other contents; the others are its copies.

    Args:
        bundle: as `embed` takes it.

    Returns:
        Columns `first`, `second` (file names) and `relation` (`Relation.COPY` or `RELATED`).

    Raises:
        BundleError: the bundle cannot be used.
        OSError: `.data_prep` cannot be written.
    """
    names = pd.DataFrame({"name": table.rows.index, "key": content_keys(table)}, dtype=object)
    names = names[names["key"] != ""]
    first_name = names.groupby("key", sort=False)["name"].first()
    again = names[names["name"] != names["key"].map(first_name)]
    distinct = Table(table.folder, table.rows.loc[first_name])
    vectors = embed(distinct, bundle, dimensions=settings.dimensions, **where).embeddings
    candidates = candidate_pairs(list(distinct.rows["perceptual_hash"]), vectors, settings)
    pairs = first_name.index.to_numpy()[candidates]
    overlays = compare_all(
        pairs,
        {str(key): table.path(name) for key, name in first_name.items()},
        memory_of(table),
        **where,
    )
    near = first_name.to_numpy()[candidates]
    exact = np.column_stack([again["key"].map(first_name), again["name"]])
    found = pd.DataFrame(np.concatenate([near, exact]), columns=["first", "second"], dtype=str)
    found["relation"] = [each.relation for each in overlays] + [Relation.COPY] * len(exact)
    return found[found["relation"] != Relation.OTHER].reset_index(drop=True)


def compare_all(
    pairs: np.ndarray, paths: Mapping[str, Path], memory: Memory, **where: Unpack[Where]
) -> list[Overlay]:
    """Lay the pictures of each pair over each other, or remember how that went.

    Args:
        pairs: keys (n, 2).
        paths: where each key's picture is.

    Returns:
        One for each pair; one that agrees nowhere if a picture cannot be read.
    """
    wanted = [(min(pair), max(pair)) for pair in pairs.tolist()]
    known = memory.read()
    new = _neighbours_together([pair for pair in wanted if pair not in known])
    if new:
        logger.info("comparing %d pairs of pictures", len(new))
    for task, overlays in run(_comparisons(new, paths), compare_task, **where):
        seen = {p: o for p, o in zip(task.pairs, overlays, strict=True) if o is not None}
        memory.add(seen)
        known |= seen
    return [known.get(pair, Overlay()) for pair in wanted]


@dataclass(frozen=True)
class Memory:
    """A file of what looking at pairs showed, one line a pair."""

    path: Path

    def read(self) -> dict[Pair, Overlay]:
        """Every pair that was looked at; a line that an interruption cut is left out."""
        if not self.path.exists():
            return {}
        lines = _LINE.findall(self.path.read_text(encoding="ascii", errors="replace"))
        return {(first, second): Overlay(*map(float, seen)) for first, second, *seen in lines}

    def add(self, overlays: Mapping[Pair, Overlay]) -> None:
        """Append to the file."""
        lines = [
            f"{first},{second},{each.agreement:.4f},{each.common:.4f},{each.patch:.4f}\n"
            for (first, second), each in overlays.items()
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as file:
            file.write("".join(lines))


def memory_of(table: Table) -> Memory:
    """The memory of a dataset folder, for this way of looking."""
    return Memory(table.folder / PREPARED_NAME / f"copies-{VERSION}.csv")


def _comparisons(pairs: Sequence[Pair], paths: Mapping[str, Path]) -> Iterator[Comparisons]:
    for batch in batches(pairs, PAIRS_PER_TASK):
        keys = dict.fromkeys(key for pair in batch for key in pair)
        yield Comparisons(batch, {key: str(paths[key].absolute()) for key in keys})


def _neighbours_together(pairs: Sequence[Pair]) -> list[Pair]:
    """Order pairs so that those of one picture are near each other, and it is opened seldom."""
    if not pairs:
        return []
    codes, keys = pd.factorize(np.array(pairs, dtype=object).ravel())
    ends = codes.reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(len(keys), len(keys)))
    place = np.argsort(reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True))
    return [pairs[i] for i in np.argsort(place[ends].max(axis=1), kind="stable")]
