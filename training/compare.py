"""Two bundles on the same pictures: what differs beyond chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import BaseModel
from scipy.stats import binomtest

from ideitify.bundle import Estimate
from ideitify.dataset import NONE_CATEGORY, DatasetError
from training.metrics import bootstrap, none_auroc, top_k_hits
from training.predictions import Predictions


class McNemar(BaseModel):
    """First guesses that one bundle has right and the other wrong."""

    only_first: int
    only_second: int
    p_value: float  # two-sided, exact (McNemar, Psychometrika 1947)


class Comparison(BaseModel):
    """The second bundle against the first; differences are second minus first, with 95 %
    intervals over whole sources."""

    pictures: int
    pictures_are: str  # which ones, and whether a bundle was made of some
    p_by_source: float  # of the first guesses, see `sign_flip_test`
    p_by_source_deities: float
    mcnemar: McNemar
    mcnemar_deities: McNemar
    differences: dict[str, Estimate]
    classes: dict[str, tuple[int, int, int]]  # label -> right by first, by second, of n; changed


def compare(first: Predictions, second: Predictions, pictures_are: str) -> Comparison:
    """Compare two bundles, paired by picture.

    Args:
        pictures_are: what is to be said of the pictures, see `training.sides.Judged`.

    Raises:
        DatasetError: the predictions are not of the same pictures.
    """
    if [p.path for p in first.pictures] != [p.path for p in second.pictures]:
        raise DatasetError("the bundles were not asked the same pictures")
    hits = {k: (_hits(first, k), _hits(second, k)) for k in (1, 3, 5)}
    categories = np.array([picture.category for picture in first.pictures])
    deities, groups = categories != NONE_CATEGORY, first.groups
    differences = {
        f"top_{k}_accuracy" if k > 1 else "accuracy": bootstrap(_difference(*pair), groups)
        for k, pair in hits.items()
    }
    differences |= {
        f"{name}, deities only": bootstrap(
            _difference(pair[0][deities], pair[1][deities]), groups[deities]
        )
        for (name, pair) in zip(list(differences), hits.values(), strict=True)
        if deities.any()
    }
    if 0 < deities.sum() < len(deities):
        scores = [
            p.probabilities[:, p.manifest.labels.index(NONE_CATEGORY)] for p in (first, second)
        ]
        differences["none_auroc"] = bootstrap(
            lambda i: none_auroc(scores[1][i], ~deities[i]) - none_auroc(scores[0][i], ~deities[i]),
            groups,
        )
    right = hits[1]
    counts = {
        str(c): tuple(
            int(x[categories == c].sum()) for x in (*right, np.ones(len(categories), int))
        )
        for c in np.unique(categories)
    }
    changed = {c: n for c, n in counts.items() if n[0] != n[1]}
    return Comparison(
        pictures=len(categories),
        pictures_are=pictures_are,
        p_by_source=sign_flip_test(*right, groups),
        p_by_source_deities=sign_flip_test(right[0][deities], right[1][deities], groups[deities]),
        mcnemar=mcnemar(*right),
        mcnemar_deities=mcnemar(right[0][deities], right[1][deities]),
        differences=differences,
        classes=dict(sorted(changed.items(), key=lambda item: item[1][0] - item[1][1])),
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Exact test of whether two bool (n,) of right answers differ by more than chance.

    It takes pictures as independent, which those of one source are not.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    changed = only_first + only_second
    p_value = float(binomtest(only_second, changed, 0.5).pvalue) if changed else 1.0
    return McNemar(only_first=only_first, only_second=only_second, p_value=p_value)


def sign_flip_test(
    first: np.ndarray, second: np.ndarray, groups: np.ndarray, flips: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of whether right answers differ by more than chance, over whole sources.

    Without a difference, what a source gains might as well have been what it loses, so its sign is
    flipped, for all its pictures at once (sign-flipping permutation test by blocks: Winkler et al.,
    "Multi-level block permutation", NeuroImage 2015). The real signs count as one of the flips
    (Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010). Where all pictures are
    of one source, each is flipped on its own.

    Args:
        first, second: bool (n,), right answers.
        groups: the source of each picture (n,).
    """
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) == 1:
        group_of = np.arange(len(group_of))
    gains = np.bincount(group_of, second.astype(int) - first)
    gains = gains[gains != 0].astype(int)
    kept = np.random.default_rng(seed).integers(0, 2, (flips, len(gains)), np.int8) @ gains
    as_large = np.abs(2 * kept - gains.sum()) >= abs(gains.sum())
    return float((1 + as_large.sum()) / (1 + flips))


def _hits(predictions: Predictions, k: int) -> np.ndarray:
    """bool (n,); a category that is no label of the bundle is never right."""
    targets = predictions.targets
    return top_k_hits(predictions.logits, np.maximum(targets, 0), k) & (targets >= 0)


def _difference(first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], float]:
    gain = second.astype(float) - first
    return lambda chosen: float(gain[chosen].mean())


def lines(comparison: Comparison) -> list[str]:
    """The comparison in words, a line each."""
    said = [
        f"second bundle against the first, on {comparison.pictures} pictures:",
        f"  {comparison.pictures_are}",
    ]
    for title, p_by_source, test in (
        ("all", comparison.p_by_source, comparison.mcnemar),
        ("deities", comparison.p_by_source_deities, comparison.mcnemar_deities),
    ):
        said.append(
            f"  {title}: only the first is right on {test.only_first}, only the second on "
            f"{test.only_second}; p = {p_by_source:.3g} by source, exact McNemar p = "
            f"{test.p_value:.3g} by picture"
        )
    for name, figure in comparison.differences.items():
        said.append(f"  {name} {figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})")
    for label, (first, second, count) in comparison.classes.items():
        said.append(f"  {label}: {first} -> {second} of {count}")
    return said
