"""Train and validation sides: whole sources where possible, near-duplicate groups where not.

Pictures of one source (photographer, museum, shop) look alike, so a random split over scraped
pictures measures how well a model remembers sources. Here the sides share no source, except for
the classes that cannot be split that way; those are named in the result.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ideitify.dataset import Picture

NEAR_DUPLICATE_BITS = 10  # of 64: crops and re-encodings of one photo; unrelated ones differ by ~32
ACCEPTED_SHARE = (0.1, 0.4)  # of a class on the validation side


@dataclass(frozen=True)
class Split:
    """Which pictures validate.

    Attributes:
        is_valid: bool (n,), True on the validation side.
        is_unseen_group: bool (n,), True for validation pictures whose source has no picture on
            the training side.
        split_by_near_duplicates: classes too small or of too few sources to be split by source.
        is_test: bool (n,), pictures kept from both sides; None where there are none.
    """

    is_valid: np.ndarray
    is_unseen_group: np.ndarray
    split_by_near_duplicates: list[str]
    is_test: np.ndarray | None = None

    @property
    def is_train(self) -> np.ndarray:
        """bool (n,), True on the training side."""
        return ~self.is_valid if self.is_test is None else ~(self.is_valid | self.is_test)

    @property
    def sides(self) -> np.ndarray:
        """str (n,): `train`, `valid` or `test`."""
        return np.where(self.is_valid, "valid", np.where(self.is_train, "train", "test"))


def sides_fingerprint(pictures: Iterable[Picture], sides: Iterable[object]) -> str:
    """Identify which picture is on which side, whatever their order and folder.

    Returns:
        sha256 (hex) over the sorted (content hash, side) pairs.
    """
    lines = sorted(f"{p.sha256} {side}" for p, side in zip(pictures, sides, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split_pictures(pictures: Sequence[Picture], share: float = 0.2, seed: int = 0) -> Split:
    """Hold out about `share` of every class (and of every `kind` of negative), by source.

    Classes that whole sources cannot split within `ACCEPTED_SHARE` are then split by
    near-duplicate group. The order of the pictures does not matter.
    """
    categories = np.array([picture.category for picture in pictures])
    sources, source_of = np.unique([picture.group for picture in pictures], return_inverse=True)
    strata = [f"{picture.category}/{picture.columns.get('kind', '')}" for picture in pictures]
    _, stratum_of = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(sources), stratum_of.max() + 1))
    np.add.at(counts, (source_of, stratum_of), 1)

    rng = np.random.default_rng(seed)
    is_valid = choose_sources(counts, share, rng)[source_of]
    badly_split = []
    for category in np.unique(categories):
        members = np.flatnonzero(categories == category)
        if not ACCEPTED_SHARE[0] <= is_valid[members].mean() <= ACCEPTED_SHARE[1]:
            badly_split.append(str(category))
            members = members[np.argsort([str(pictures[i].path) for i in members], kind="stable")]
            is_valid[members] = _split_near_duplicates([pictures[i] for i in members], share, rng)
    is_unseen = is_valid & ~np.isin(source_of, source_of[~is_valid])
    return Split(is_valid, is_unseen, badly_split)


def choose_sources(counts: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Choose sources so that every stratum's held-out share is as near to `share` as possible.

    Local search from 20 random starts: move the source that helps until none does.

    Args:
        counts: (sources, strata) pictures of each stratum at each source.

    Returns:
        bool (sources,), True where the source validates.
    """
    totals = counts.sum(axis=0)

    def cost(held: np.ndarray) -> float:
        return float(np.mean((held / totals - share) ** 2))

    def improve(chosen: np.ndarray) -> tuple[float, np.ndarray]:
        held = counts[chosen].sum(axis=0)
        best, improved = cost(held), True
        while improved:
            improved = False
            for source in rng.permutation(len(chosen)):
                other = held - counts[source] if chosen[source] else held + counts[source]
                if (now := cost(other)) < best:
                    best, held, improved = now, other, True
                    chosen[source] ^= True
        return best, chosen

    starts = (improve(rng.random(len(counts)) < share) for _ in range(20))
    return min(starts, key=lambda found: found[0])[1]


def _split_near_duplicates(
    pictures: Sequence[Picture], share: float, rng: np.random.Generator
) -> np.ndarray:
    """Hold out about `share` of the pictures, never a near-duplicate of a training one."""
    cluster = near_duplicate_clusters([p.columns.get("perceptual_hash", "") for p in pictures])
    sizes = Counter(cluster.tolist())
    wanted, held_out = max(1, round(share * len(pictures))), set()
    for number in rng.permutation(len(sizes)):
        if wanted >= sizes[int(number)]:
            wanted -= sizes[int(number)]
            held_out.add(int(number))
    return np.isin(cluster, list(held_out))


def near_duplicate_clusters(perceptual_hashes: Sequence[str]) -> np.ndarray:
    """Cluster pictures whose 64-bit perceptual hashes (hex) differ in few bits.

    Returns:
        int (n,): cluster numbers from 0; pictures without a hash are clusters of their own.
    """
    codes = np.array([int(text or "0", 16) for text in perceptual_hashes], dtype=np.uint64)
    hashed = np.array([bool(text) for text in perceptual_hashes], dtype=bool)
    near = [  # row by row: a large class has few near-duplicates among very many pairs
        np.flatnonzero(is_hashed & hashed & (np.bitwise_count(code ^ codes) <= NEAR_DUPLICATE_BITS))
        for code, is_hashed in zip(codes, hashed, strict=True)
    ]
    columns = np.concatenate([[], *near])
    starts = np.cumsum([0, *map(len, near)])
    graph = csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(codes), len(codes)))
    return connected_components(graph, directed=False)[1]
