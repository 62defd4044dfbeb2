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
    mcnemar: McNemar
    mcnemar_deities: McNemar
    differences: dict[str, Estimate]
    classes: dict[str, tuple[int, int, int]]  # label -> right by first, by second, of n; changed


def compare(first: Predictions, second: Predictions) -> Comparison:
    """Compare two bundles, paired by picture.

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
        mcnemar=mcnemar(*right),
        mcnemar_deities=mcnemar(right[0][deities], right[1][deities]),
        differences=differences,
        classes=dict(sorted(changed.items(), key=lambda item: item[1][0] - item[1][1])),
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Exact test of whether two bool (n,) of right answers differ by more than chance."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    changed = only_first + only_second
    p_value = float(binomtest(only_second, changed, 0.5).pvalue) if changed else 1.0
    return McNemar(only_first=only_first, only_second=only_second, p_value=p_value)


def _hits(predictions: Predictions, k: int) -> np.ndarray:
    """bool (n,); a category that is no label of the bundle is never right."""
    targets = predictions.targets
    return top_k_hits(predictions.logits, np.maximum(targets, 0), k) & (targets >= 0)


def _difference(first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], float]:
    gain = second.astype(float) - first
    return lambda chosen: float(gain[chosen].mean())


def lines(comparison: Comparison) -> list[str]:
    """The comparison in words, a line each."""
    said = [f"second bundle against the first, on {comparison.pictures} pictures:"]
    for title, test in (("all", comparison.mcnemar), ("deities", comparison.mcnemar_deities)):
        said.append(
            f"  {title}: only the first is right on {test.only_first}, only the second on "
            f"{test.only_second}; exact McNemar p = {test.p_value:.3g}"
        )
    for name, figure in comparison.differences.items():
        said.append(f"  {name} {figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})")
    for label, (first, second, count) in comparison.classes.items():
        said.append(f"  {label}: {first} -> {second} of {count}")
    return said
