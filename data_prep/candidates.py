"""Which pictures may be copies of one another, out of millions: pairs from indexes, not all pairs.

Two nets, because each has holes. The perceptual hash finds re-encoded, resized and recoloured
copies and, since a hash tells the hash of the mirrored picture, mirrored ones. The model's
embedding finds what moves the frame: crops and borders. What they catch is then looked at
(`data_prep.copies`).

Time: the hashes' grows with n as long as their 2^16 buckets hold a few dozen each, the embeddings'
with n^1.5 with a small constant. Memory grows with n. The pairs are at most a few for each picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data_prep.glance import is_hash

HASH_BITS = 64
TABLES, KEY_BITS = 4, 16  # of multi-index hashing (Norouzi et al., 2012)
MIRROR = np.uint64(0x5555555555555555)  # the bits of horizontal frequencies that change their sign
PER_HASH = 8  # nearest hashes looked at; a flat picture's hash may have thousands as near
LISTS_VISITED = 16  # of the inverted file; 8 find 99.9 % of the neighbours on clustered data
TRAINING_PER_LIST = 64  # vectors for each centroid: more change nothing
SEARCHED_AT_ONCE = 65536  # bounds the memory for answers


class SearchSettings(BaseModel):
    """How wide the nets are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash_bits: int = Field(
        8,
        ge=0,
        le=11,
        description="of 64, in which the hashes of candidates differ at most: re-encoded, resized "
        "and mirrored copies differ in 6 or fewer; from 12 on, strangers meet and time multiplies",
    )
    neighbours: int = Field(
        5,
        ge=1,
        description="nearest embeddings that are candidates: a copy is the nearest or next to it, "
        "and copies of copies are found step by step",
    )
    cosine: float = Field(
        0.65,
        ge=-1,
        le=1,
        description="least cosine of candidates' embeddings, projected to `dimensions`: crops, "
        "borders and recolourings of one picture have 0.72 or more",
    )
    dimensions: int = Field(
        128, ge=16, description="of the projected embeddings: 64 already rank copies first"
    )


def candidate_pairs(hashes: list[str], vectors: np.ndarray, settings: SearchSettings) -> np.ndarray:
    """Pairs of pictures that either net catches.

    Args:
        hashes: perceptual hashes of n pictures; another text where there is none.
        vectors: float32 (n, d), unit length, d a hundred or so; zeros where there is none.

    Returns:
        int64 (pairs, 2), first < second, sorted, each once.
    """
    hashed = np.flatnonzero([is_hash(text) for text in hashes])
    numbers = np.array([int(hashes[i], 16) for i in hashed], np.uint64)
    seen = np.flatnonzero(vectors.any(axis=1))
    if len(seen) < len(vectors):  # or of a million vectors there would be half a gigabyte more
        vectors = vectors[seen]
    near = neighbour_pairs(vectors, settings.neighbours, settings.cosine)
    both = [hashed[hash_pairs(numbers, settings.hash_bits)], seen[near]]
    return _distinct(np.concatenate(both), len(hashes))


def hash_pairs(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Pairs whose hashes, or one's and the mirrored other's, differ in at most `bits` bits.

    Equal hashes are chained, not paired with each other. Of the hashes as near, each is paired with
    at least the `PER_HASH` nearest.

    Args:
        hashes: uint64 (n,).

    Returns:
        int64 (pairs, 2), first < second, sorted, each once.
    """
    if not len(hashes):
        return np.empty((0, 2), np.int64)
    order = np.argsort(hashes, kind="stable")
    equal = hashes[order][1:] == hashes[order][:-1]
    chains = np.column_stack([order[:-1][equal], order[1:][equal]])
    unique, first = np.unique(hashes, return_index=True)
    found = [chains]
    for table in range(TABLES):
        # Hashes that differ in `bits` differ in one of the first tables' keys by at most a table's
        # share of them, or in one of the others' by less (Norouzi et al., 2012, proposition 2).
        flips = bits // TABLES - (table > bits % TABLES)
        if flips >= 0:
            found += [first[pair] for pair in _near(unique, table * KEY_BITS, flips, bits)]
    return _distinct(np.concatenate(found), len(hashes))


def _near(hashes: np.ndarray, key: int, flips: int, bits: int) -> Iterator[np.ndarray]:
    """Pairs of hashes, the second one's mirrored or not, whose keys differ in at most `flips` bits.

    Args:
        hashes: uint64 (n,), all different.
        key: the place of the key's first bit.

    Yields:
        int64 (pairs, 2): indexes into `hashes`, of hashes that differ in at most `bits` bits.
    """

    def turned(numbers: np.ndarray) -> np.ndarray:  # the index's key is a hash's first bits
        return np.roll(numbers.view(np.uint8).reshape(-1, HASH_BITS // 8), -key // 8, axis=1)

    index = faiss.IndexBinaryHash(HASH_BITS, KEY_BITS)
    index.nflip = flips
    index.add(turned(hashes))
    for queries in (hashes, hashes ^ MIRROR):
        for start in range(0, len(queries), SEARCHED_AT_ONCE):
            block = turned(queries[start : start + SEARCHED_AT_ONCE])
            distances, near = index.search(block, min(PER_HASH + 1, len(hashes)))
            query, rank = np.nonzero((near >= 0) & (distances <= bits))
            yield np.column_stack([start + query, near[query, rank]])


def neighbour_pairs(vectors: np.ndarray, neighbours: int, cosine: float) -> np.ndarray:
    """Pairs of a vector and one of its nearest, where their cosine is at least `cosine`.

    Args:
        vectors: float32 (n, d), unit length.

    Returns:
        int64 (pairs, 2), first < second, sorted, each once.
    """
    count, width = vectors.shape
    if count < 2:
        return np.empty((0, 2), np.int64)
    lists = max(1, min(int(4 * count**0.5), count // TRAINING_PER_LIST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = TRAINING_PER_LIST
    index.cp.min_points_per_centroid = 1  # a small dataset is no reason to print a warning
    index.cp.spherical = True
    index.nprobe = LISTS_VISITED
    index.train(vectors)
    index.add(vectors)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, count, SEARCHED_AT_ONCE):
        block = vectors[start : start + SEARCHED_AT_ONCE]
        cosines, near = index.search(block, min(neighbours + 1, count))
        query, rank = np.nonzero((near >= 0) & (cosines >= cosine))
        found.append(np.column_stack([start + query, near[query, rank]]))
    return _distinct(np.concatenate(found), count)


def _distinct(pairs: np.ndarray, count: int) -> np.ndarray:
    first, second = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1).T
    return np.column_stack(np.divmod(np.unique(first * count + second), count))
