"""Figures of a model's probabilities, each with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest, rankdata

from ideitify.bundle import Estimate


def top_k_hits(probabilities: np.ndarray, targets: np.ndarray, k: int) -> np.ndarray:
    """bool (n,): the target is among the `k` most probable of (n, labels)."""
    at_target = np.take_along_axis(probabilities, targets[:, None], axis=1)
    return (~(probabilities <= at_target)).sum(axis=1) < k  # nan is never right


def top_k_accuracy(probabilities: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of pictures whose target is among the `k` most probable labels, in 0..1."""
    return float(top_k_hits(probabilities, targets, k).mean())


def macro_f1(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes present in `targets` of their F1 score, in 0..1."""
    return macro_f1_of(probabilities.argmax(axis=1), targets)


def macro_f1_of(guesses: np.ndarray, targets: np.ndarray) -> float:
    """The same of guessed labels, int (n,); quick, because a bootstrap asks a thousand times."""
    size = int(max(guesses.max(), targets.max())) + 1
    guessed, there = np.bincount(guesses, minlength=size), np.bincount(targets, minlength=size)
    right = np.bincount(targets[guesses == targets], minlength=size)
    present = there > 0
    return float((2 * right[present] / (guessed + there)[present]).mean())


def expected_calibration_error(
    probabilities: np.ndarray, targets: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, in 0..1.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    hits = probabilities.argmax(axis=1) == targets
    return calibration_gap(probabilities.max(axis=1), hits, bins)


def calibration_gap(confidence: np.ndarray, hits: np.ndarray, bins: int = 15) -> float:
    """The same of confidences in 0..1 and right answers, bool (n,)."""
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(bin_of, hits - confidence)).sum() / len(hits))


def calibration_error_if_perfect(
    probabilities: np.ndarray, draws: int = 200, seed: int = 0
) -> Estimate:
    """The `expected_calibration_error` that perfectly calibrated confidences like these would show.

    The error of a sample is never 0, because every bin's accuracy has its own noise: with 500
    pictures it is 0.03 to 0.05. Only what lies above this interval is miscalibration (consistency
    resampling: Broecker and Smith, "Increasing the Reliability of Reliability Diagrams", 2007).
    """
    confidence = probabilities.max(axis=1)
    rng = np.random.default_rng(seed)
    errors = [
        calibration_gap(confidence, rng.random(len(confidence)) < confidence) for _ in range(draws)
    ]
    low, high = np.percentile(errors, [2.5, 97.5])
    return Estimate(
        value=round(float(np.mean(errors)), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        pictures=len(confidence),
    )


def negative_log_likelihood(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log(probability of the target), in nats; 0 is best."""
    return float(log_losses(probabilities, targets).mean())


def log_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """-log(probability of the target) of each picture, in nats."""
    return -np.log(probabilities[np.arange(len(targets)), targets] + 1e-12)


def risk_coverage(confidence: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Error among the most confident 1, 2, ... n pictures, float (n,).

    Its mean is the area under the risk-coverage curve, small where errors are told by their low
    confidence (Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017).
    """
    wrong = ~hits[np.argsort(-confidence, kind="stable")]
    return np.cumsum(wrong) / np.arange(1, len(wrong) + 1)


def none_auroc(none_probability: np.ndarray, is_none: np.ndarray) -> float:
    """Area under the ROC curve of telling `none` from deities; nan where one side is missing.

    As the share of pairs in the right order (Mann and Whitney, 1947), ties counting half.
    """
    count = int(is_none.sum())
    if count in (0, len(is_none)):
        return float("nan")
    above = rankdata(none_probability)[is_none].sum() - count * (count + 1) / 2
    return float(above / (count * (len(is_none) - count)))


def false_positive_rate_at_recall(
    none_probability: np.ndarray, is_none: np.ndarray, recall: float = 0.95
) -> float:
    """Share of deity pictures called `none` where `recall` of the `none` pictures are."""
    if is_none.all() or not is_none.any():
        return float("nan")
    found = np.sort(none_probability[is_none])[::-1]
    threshold = found[int(np.ceil(recall * len(found) - 1e-9)) - 1]
    return float((none_probability[~is_none] >= threshold).mean())


def bootstrap(
    figure: Callable[[np.ndarray], float],
    groups: Sequence[str],
    draws: int = 1000,
    seed: int = 0,
    *,
    is_biased: bool = False,
) -> Estimate:
    """A figure with its 95 % interval, resampling whole groups.

    Pictures of one source are not independent, so resampling single pictures would promise too
    much; it is done only where all are of one group.

    Args:
        figure: takes picture indices (with repeats) and gives the figure.
        groups: the source of each picture (n,).
        is_biased: whether repeated pictures make the figure larger, as they do a calibration error;
            the interval is then reflected about the value ("basic bootstrap": Davison and Hinkley,
            "Bootstrap Methods and their Application", 1997, 5.2) and ends at 0.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) == 1:
        names = group_of = np.arange(len(group_of))
    members = [np.flatnonzero(group_of == number) for number in range(len(names))]
    rng = np.random.default_rng(seed)
    samples = [
        figure(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
        for _ in range(draws)
    ]
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    value = figure(np.arange(len(group_of)))
    if is_biased:
        low, high = max(0, 2 * value - high), max(0, 2 * value - low)
    return Estimate(
        value=round(value, 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        pictures=len(group_of),
    )


def wilson_interval(hits: int, pictures: int) -> Estimate:
    """A share with its 95 % Wilson score interval (Wilson, JASA 1927), fit for small samples."""
    interval = binomtest(hits, pictures).proportion_ci(method="wilson")
    return Estimate(
        value=round(hits / pictures, 4),
        low=round(interval.low, 4),
        high=round(interval.high, 4),
        pictures=pictures,
    )
