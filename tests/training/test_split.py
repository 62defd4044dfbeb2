"""The split keeps sources apart, and says where it cannot."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ideitify.dataset import Picture, read_dataset
from training.data import choose_pictures
from training.split import (
    Split,
    choose_sources,
    near_duplicate_clusters,
    sides_fingerprint,
    split_pictures,
)

REAL_DATA = Path(__file__).parents[3] / "shared" / "deities"


def pictures_of(*rows: tuple[str, str, str]) -> list[Picture]:
    return [
        Picture(Path(f"{i}.jpg"), category, group, {"perceptual_hash": phash})
        for i, (category, group, phash) in enumerate(rows)
    ]


def many(category: str, group: str, count: int, rng: np.random.Generator):
    return [(category, group, f"{rng.integers(2**63):016x}") for _ in range(count)]


def test_no_source_is_on_both_sides_when_every_class_has_many() -> None:
    rng = np.random.default_rng(0)
    rows = [row for c in "abc" for s in range(10) for row in many(c, f"s{s}", 4, rng)]
    pictures = pictures_of(*rows)
    split = split_pictures(pictures)
    groups = np.array([picture.group for picture in pictures])
    assert not set(groups[split.is_valid]) & set(groups[~split.is_valid])
    assert split.split_by_near_duplicates == []
    assert (split.is_unseen_group == split.is_valid).all()
    assert 0.1 <= split.is_valid.mean() <= 0.4


def test_a_class_of_one_source_is_split_by_near_duplicates_and_named() -> None:
    rng = np.random.default_rng(1)
    rows = [row for s in range(10) for row in many("a", f"s{s}", 4, rng)]
    twins = [("lonely", "only", "0" * 16)] * 3 + [("lonely", "only", "f" * 16)] * 3
    pictures = pictures_of(*rows, *twins, *many("lonely", "only", 10, rng))
    split = split_pictures(pictures)
    assert split.split_by_near_duplicates == ["lonely"]
    lonely = np.array([picture.category == "lonely" for picture in pictures])
    assert 1 <= split.is_valid[lonely].sum() <= 6
    assert not split.is_unseen_group[lonely].any()
    for first in (40, 43):  # three copies of one picture stay together
        assert len(set(split.is_valid[first : first + 3])) == 1


def test_the_order_of_the_pictures_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    rows = [row for s in range(10) for row in many("a", f"s{s}", 4, rng)]
    pictures = pictures_of(*rows, *many("lonely", "only", 20, rng))
    split = split_pictures(pictures)
    assert split.split_by_near_duplicates == ["lonely"]
    order = rng.permutation(len(pictures))
    again = split_pictures([pictures[i] for i in order])
    assert (again.is_valid == split.is_valid[order]).all()


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    rng = np.random.default_rng(2)
    rows = [row for c in "ab" for s in range(20) for row in many(c, f"{s}", 3, rng)]
    splits = [split_pictures(pictures_of(*rows), seed=seed).is_valid for seed in (0, 0, 1)]
    assert (splits[0] == splits[1]).all()
    assert (splits[0] != splits[2]).any()


def test_every_picture_is_on_one_side() -> None:
    valid, test = np.array([True, False, False]), np.array([False, True, False])
    assert Split(valid, valid, [], test).sides.tolist() == ["valid", "test", "train"]
    assert Split(valid, valid, []).sides.tolist() == ["valid", "train", "train"]


def test_the_fingerprint_of_the_sides_knows_who_is_where_but_not_the_order() -> None:
    pictures = [Picture(Path(name), "a", name, {"sha256": name * 64}) for name in "abc"]
    before = sides_fingerprint(pictures, ["train", "valid", "valid"])
    assert sides_fingerprint(pictures[::-1], ["valid", "valid", "train"]) == before
    assert sides_fingerprint(pictures, ["valid", "train", "valid"]) != before


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_clusters_join_exactly_the_pictures_linked_by_few_different_bits(hashes: list[int]) -> None:
    clusters = near_duplicate_clusters([f"{h:016x}" for h in hashes])
    for i in range(len(hashes)):
        for j in range(i):
            if (hashes[i] ^ hashes[j]).bit_count() <= 10:
                assert clusters[i] == clusters[j]


def test_pictures_without_a_hash_are_never_joined() -> None:
    assert len(set(near_duplicate_clusters(["", "", "0" * 16]))) == 3


def test_sources_are_chosen_near_the_wanted_share_of_every_stratum() -> None:
    counts = np.random.default_rng(3).integers(0, 6, (40, 5)).astype(float)
    chosen = choose_sources(counts, 0.2, np.random.default_rng(0))
    shares = counts[chosen].sum(axis=0) / counts.sum(axis=0)
    assert np.abs(shares - 0.2).max() < 0.03


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="NEEDS the labelled dataset beside the checkout")
def test_the_real_dataset_is_split_by_source_but_for_the_named_classes() -> None:
    pictures = choose_pictures(REAL_DATA)
    split = split_pictures(pictures)
    categories = np.array([picture.category for picture in pictures])
    groups = np.array([picture.group for picture in pictures])
    by_source = ~np.isin(categories, split.split_by_near_duplicates)
    valid, train = by_source & split.is_valid, by_source & ~split.is_valid
    assert not set(groups[valid]) & set(groups[train])
    assert len(set(categories)) == 57
    assert split.is_valid.sum() == 512  # those of docs/experiments.md
    assert set(categories[split.is_valid]) == set(categories[~split.is_valid]) == set(categories)
    assert min(Counter(categories[~split.is_valid]).values()) >= 6
    assert len(pictures) < len(read_dataset(REAL_DATA))
