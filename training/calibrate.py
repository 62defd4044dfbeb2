"""Honest confidence: one temperature, and the thresholds of the three verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from sklearn.model_selection import GroupKFold

from ideitify.bundle import Thresholds
from ideitify.circles import Circle, circles_of
from ideitify.dataset import NONE_CATEGORY
from ideitify.knowledge import has_entry
from ideitify.recognizer import softmax
from training.metrics import negative_log_likelihood

NAMED_PRECISION = 0.8  # of the photos that are named, the share that is named rightly
LOST_DEITIES = 0.05  # of the photos of deities, the share answered "no deity"


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature of least negative log-likelihood.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        logits: (n, labels) of validation pictures.
        targets: int (n,).
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(softmax(logits / np.exp(log_temperature)), targets)

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


Scaling = tuple[float | np.ndarray, float | np.ndarray]  # logits * first + second
Fit = Callable[[np.ndarray, np.ndarray, int], Scaling]


def one_temperature(logits: np.ndarray, targets: np.ndarray, none: int) -> Scaling:
    """What ships."""
    return 1 / fit_temperature(logits, targets), 0.0


def no_scaling(logits: np.ndarray, targets: np.ndarray, none: int) -> Scaling:
    """The logits as they are."""
    return 1.0, 0.0


def temperature_and_none(logits: np.ndarray, targets: np.ndarray, none: int) -> Scaling:
    """One temperature, and a shift of the logit of `none`."""

    def scaling(values: np.ndarray) -> Scaling:
        return np.exp(values[0]), values[1] * (np.arange(logits.shape[1]) == none)

    def loss(values: np.ndarray) -> float:
        scale, shift = scaling(values)
        return negative_log_likelihood(softmax(logits * scale + shift), targets)

    return scaling(minimize(loss, np.zeros(2), method="L-BFGS-B").x)


def vector_scaling(
    logits: np.ndarray, targets: np.ndarray, none: int, strength: float = 3.0
) -> Scaling:
    """A scale and a shift for every label (Guo et al., 2017), held near one temperature."""
    count, labels = logits.shape
    truth = np.eye(labels)[targets]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, own, shift = np.exp(values[0] + values[1 : labels + 1]), *np.split(values[1:], 2)
        probabilities = softmax(logits * scale + shift)
        slope = (probabilities - truth) / count
        by_scale = (slope * logits * scale).sum(axis=0)
        penalty = strength * ((own**2).mean() + (shift**2).mean())
        gradient = np.concatenate([
            [by_scale.sum()],
            by_scale + 2 * strength * own / labels,
            slope.sum(axis=0) + 2 * strength * shift / labels,
        ])  # fmt: skip
        return negative_log_likelihood(probabilities, targets) + penalty, gradient

    found = minimize(loss, np.zeros(1 + 2 * labels), jac=True, method="L-BFGS-B").x
    return np.exp(found[0] + found[1 : labels + 1]), found[labels + 1 :]


CALIBRATIONS: dict[str, Fit] = {
    "none": no_scaling,
    "one temperature": one_temperature,
    "temperature and a shift of `none`": temperature_and_none,
    "vector scaling": vector_scaling,
}


def cross_fitted_probabilities(
    logits: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    folds: int = 5,
    fit: Fit = one_temperature,
    none: int = -1,
) -> np.ndarray:
    """Calibrated probabilities (n, labels), each picture with a calibration fitted on others.

    A temperature measured on the pictures that it was fitted on would look better than it is.
    "Others" are of other groups; of other pictures, where all are of one group.
    """
    probabilities = np.empty_like(logits)
    if len(np.unique(groups)) == 1:
        groups = np.arange(len(groups))
    folds = min(folds, len(np.unique(groups)))
    for fitted, judged in GroupKFold(folds).split(logits, targets, groups):
        scale, shift = fit(logits[fitted], targets[fitted], none)
        probabilities[judged] = softmax(logits[judged] * scale + shift)
    return probabilities


def choose_thresholds(
    probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> Thresholds:
    """Thresholds of the verdicts on validation.

    `none`: the lowest that answers "no deity" to at most `LOST_DEITIES` of the deities' photos.
    `deity`: the lowest at which at least `NAMED_PRECISION` of the named photos are named rightly.
    `broader`: the lowest at which at least `NAMED_PRECISION` of the circles named for the unsure
    photos hold the right deity; None where there is no such threshold.

    Args:
        probabilities: calibrated, (n, labels).
        targets: int (n,), index into `labels`.
        labels: knowledge slugs and `none`.
    """
    none = list(labels).index(NONE_CATEGORY)
    none_probability = probabilities[:, none]
    deities = np.delete(np.arange(probabilities.shape[1]), none)
    best = deities[probabilities[:, deities].argmax(axis=1)]
    confidence = probabilities[np.arange(len(targets)), best]

    wins = none_probability > confidence
    losing = np.sort(none_probability[(targets != none) & wins])[::-1]
    allowed = int(LOST_DEITIES * (targets != none).sum())
    none_threshold = _rounded_up(losing[allowed] + 1e-9) if len(losing) > allowed else 0.0

    is_named = ~(wins & (none_probability >= none_threshold))
    deity_threshold = choose_deity(confidence[is_named], (best == targets)[is_named])
    named = confidence[is_named] >= deity_threshold
    share_named = named[targets[is_named] != none].sum() / (targets != none).sum()
    unsure = is_named & (confidence < deity_threshold)
    circles = circles_of(labels) if all(map(has_entry, labels)) else []  # entries may come later
    broader_threshold, share_circled = choose_broader(
        probabilities[unsure], targets[unsure], circles
    )
    return Thresholds(
        deity=deity_threshold,
        none=none_threshold,
        broader=broader_threshold,
        operating_point=(
            f"on {len(targets)} validation pictures: at least {NAMED_PRECISION:.0%} of the named "
            f"photos are named rightly, which names {share_named:.0%} of the deities' photos; at "
            f"most {LOST_DEITIES:.0%} of the deities' photos are answered 'no deity'; "
            + (
                f"of the unsure photos {share_circled:.0%} get a broader answer, of which at "
                f"least {NAMED_PRECISION:.0%} hold the right deity"
                if broader_threshold is not None
                else "no broader answer would be right often enough"
            )
        ),
    )


def choose_deity(confidence: np.ndarray, is_right: np.ndarray) -> float:
    """The lowest threshold, of four decimals, at which names are right often enough.

    Args:
        confidence: (n,), of the first candidates of photos that are not answered "no deity".
        is_right: bool (n,), whether the candidate is the photo's deity.

    Returns:
        The threshold; 1 where none reaches `NAMED_PRECISION`.
    """
    steps = np.floor(confidence * 1e4) / 1e4
    order = np.argsort(-steps, kind="stable")
    precision = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    passes = np.append(np.diff(steps[order]) < 0, True)[: len(order)]  # photos of one step together
    enough = np.flatnonzero(passes & (precision >= NAMED_PRECISION))
    return float(steps[order][enough[-1]]) if len(enough) else 1.0


def choose_broader(
    probabilities: np.ndarray, targets: np.ndarray, circles: Sequence[Circle]
) -> tuple[float | None, float]:
    """The lowest threshold of `broader` at which its circles are right often enough.

    Args:
        probabilities: calibrated, (n, labels), of unsure photos; `none` may be their truth.

    Returns:
        The threshold, a whole percentage, and the share of photos that get a circle; (None, 0)
        where no threshold reaches `NAMED_PRECISION`.
    """
    if not len(targets) or not circles:
        return None, 0.0
    sums = np.stack([probabilities[:, c.members].sum(axis=1) for c in circles], axis=1)
    holds = np.stack([np.isin(targets, c.members) for c in circles], axis=1)
    sizes = np.broadcast_to([len(c.members) for c in circles], sums.shape)
    order = np.lexsort((-sums, sizes), axis=1)  # as `ideitify.circles.broader` prefers them
    sums, holds = np.take_along_axis(sums, order, 1), np.take_along_axis(holds, order, 1)
    for threshold in np.arange(30, 100) / 100:
        likely = sums >= threshold
        named = likely.any(axis=1)
        right = holds[named, likely[named].argmax(axis=1)]
        if len(right) and right.mean() >= NAMED_PRECISION:
            return float(threshold), len(right) / len(targets)
    return None, 0.0


def _rounded_up(probability: float) -> float:
    """Four decimals, never below: a threshold rounded down would let one more picture pass."""
    return min(1.0, float(np.ceil(probability * 1e4)) / 1e4)
