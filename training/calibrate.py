"""Honest confidence: one temperature, and the thresholds of the three verdicts."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import GroupKFold

from ideitify.bundle import Thresholds
from ideitify.recognizer import softmax

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
        probabilities = softmax(logits / np.exp(log_temperature))
        return float(-np.log(probabilities[np.arange(len(targets)), targets] + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


def cross_fitted_probabilities(
    logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, folds: int = 5
) -> np.ndarray:
    """Calibrated probabilities (n, labels), each picture with a temperature fitted on others.

    A temperature measured on the pictures that it was fitted on would look better than it is.
    "Others" are of other groups; of other pictures, where all are of one group.
    """
    probabilities = np.empty_like(logits)
    if len(np.unique(groups)) == 1:
        groups = np.arange(len(groups))
    folds = min(folds, len(np.unique(groups)))
    for fitted, judged in GroupKFold(folds).split(logits, targets, groups):
        temperature = fit_temperature(logits[fitted], targets[fitted])
        probabilities[judged] = softmax(logits[judged] / temperature)
    return probabilities


def choose_thresholds(probabilities: np.ndarray, targets: np.ndarray, none: int) -> Thresholds:
    """Thresholds of the verdicts on validation.

    `none`: the lowest that answers "no deity" to at most `LOST_DEITIES` of the deities' photos.
    `deity`: the lowest at which at least `NAMED_PRECISION` of the named photos are named rightly.

    Args:
        probabilities: calibrated, (n, labels).
        none: index of the label `none`.
    """
    none_probability = probabilities[:, none]
    deities = np.delete(np.arange(probabilities.shape[1]), none)
    best = deities[probabilities[:, deities].argmax(axis=1)]
    confidence = probabilities[np.arange(len(targets)), best]

    wins = none_probability > confidence
    losing = np.sort(none_probability[(targets != none) & wins])[::-1]
    allowed = int(LOST_DEITIES * (targets != none).sum())
    none_threshold = _rounded_up(losing[allowed] + 1e-9) if len(losing) > allowed else 0.0

    is_named = ~(wins & (none_probability >= none_threshold))
    order = np.argsort(-confidence[is_named])
    right = (best == targets)[is_named][order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(precision >= NAMED_PRECISION)
    deity_threshold = _rounded_up(confidence[is_named][order][enough[-1]]) if len(enough) else 1.0
    named = confidence[is_named] >= deity_threshold
    share_named = named[targets[is_named] != none].sum() / (targets != none).sum()
    return Thresholds(
        deity=deity_threshold,
        none=none_threshold,
        operating_point=(
            f"on {len(targets)} validation pictures: at least {NAMED_PRECISION:.0%} of the named "
            f"photos are named rightly, which names {share_named:.0%} of the deities' photos; at "
            f"most {LOST_DEITIES:.0%} of the deities' photos are answered 'no deity'"
        ),
    )


def _rounded_up(probability: float) -> float:
    """Four decimals, never below: a threshold rounded down would let one more picture pass."""
    return min(1.0, float(np.ceil(probability * 1e4)) / 1e4)
