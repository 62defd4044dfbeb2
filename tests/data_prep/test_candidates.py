from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageOps

from data_prep.candidates import (
    SearchSettings,
    candidate_pairs,
    hash_pairs,
    neighbour_pairs,
)
from ideitify.perceptual_hash import hamming_distance, perceptual_hash
from tests.data_prep.pictures import scene


def random_hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def flipped(hashes: np.ndarray, bits: int, seed: int = 1) -> np.ndarray:
    """The hashes with so many bits flipped in each."""
    rng = np.random.default_rng(seed)
    places = [rng.choice(64, bits, replace=False) for _ in hashes]
    masks = [sum(1 << int(place) for place in each) for each in places]
    return hashes ^ np.array(masks, np.uint64)


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(int(first), int(second)) for first, second in pairs}


@pytest.mark.parametrize("bits", range(12))
def test_hashes_that_differ_in_so_many_bits_are_all_found_and_no_others(bits: int) -> None:
    hashes = random_hashes(300)
    near, far = flipped(hashes[:100], bits), flipped(hashes[100:200], bits + 1)
    found = as_set(hash_pairs(np.concatenate([hashes, near, far]), bits))
    assert found == {(i, 300 + i) for i in range(100)}


def test_the_hash_of_a_mirrored_picture_is_found_by_the_hash_alone() -> None:
    pictures = [scene(seed) for seed in range(20)]
    texts = [perceptual_hash(picture) for picture in pictures]
    texts += [perceptual_hash(ImageOps.mirror(picture)) for picture in pictures]
    found = as_set(hash_pairs(np.array([int(text, 16) for text in texts], np.uint64), 8))
    assert {(i, 20 + i) for i in range(20)} <= found
    assert min(hamming_distance(texts[i], texts[20 + i]) for i in range(20)) > 8


def test_many_equal_hashes_make_a_chain_and_not_all_pairs() -> None:
    pairs = hash_pairs(np.full(1000, 7, np.uint64), 8)
    assert as_set(pairs) == {(i, i + 1) for i in range(999)}


def test_many_hashes_within_a_few_bits_make_a_few_pairs_each() -> None:
    near_blank = flipped(np.zeros(2000, np.uint64), 2)
    assert len(hash_pairs(near_blank, 8)) < 2000 * 20


def test_vectors_are_paired_with_their_nearest() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 64)).astype(np.float32)
    vectors[2000:] = vectors[:1000] + 0.3 * rng.normal(size=(1000, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = neighbour_pairs(vectors, neighbours=5, cosine=0.7)
    cosines = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1)
    planted = {(i, 2000 + i) for i in range(1000)}
    assert len(planted & as_set(pairs)) >= 990
    assert cosines.min() >= 0.699


def test_pictures_without_a_hash_or_an_embedding_are_found_by_the_other() -> None:
    vectors = np.zeros((4, 16), np.float32)
    vectors[[0, 1], 3] = 1
    hashes = ["", "00ff00ff00ff00ff", "1234123412341234", "1234123412341235"]
    found = candidate_pairs(hashes, vectors, SearchSettings(dimensions=16))
    assert as_set(found) == {(0, 1), (2, 3)}


def test_nothing_and_a_single_picture_have_no_pairs() -> None:
    settings = SearchSettings()
    assert candidate_pairs([], np.zeros((0, 8), np.float32), settings).shape == (0, 2)
    one = candidate_pairs(["00ff00ff00ff00ff"], np.ones((1, 8), np.float32), settings)
    assert one.shape == (0, 2)
