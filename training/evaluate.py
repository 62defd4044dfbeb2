"""A trained model on its validation pictures: figures with sample sizes and intervals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ideitify.bundle import Estimate
from ideitify.dataset import NONE_CATEGORY
from ideitify.recognizer import softmax
from training.calibrate import cross_fitted_probabilities
from training.metrics import (
    bootstrap,
    expected_calibration_error,
    false_positive_rate_at_recall,
    macro_f1,
    none_auroc,
    top_k_accuracy,
    wilson_interval,
)
from training.train import Fitted


def measure(fitted: Fitted) -> dict[str, dict[str, Estimate]]:
    """Every figure on three sets: all validation pictures, those of sources never seen in
    training, and the deities alone (where the many `none` pictures cannot flatter).

    `expected_calibration_error` is after temperature scaling, cross-fitted over sources;
    `expected_calibration_error_before` is without it.
    """
    targets = fitted.data.targets[fitted.valid]
    groups = np.array([fitted.data.pictures[i].group for i in fitted.valid])
    calibrated = cross_fitted_probabilities(fitted.logits, targets, groups)
    raw = softmax(fitted.logits)
    none = fitted.data.labels.index(NONE_CATEGORY)
    figures: dict[str, Callable[[np.ndarray], float]] = {
        "accuracy": lambda i: top_k_accuracy(calibrated[i], targets[i], 1),
        "top_3_accuracy": lambda i: top_k_accuracy(calibrated[i], targets[i], 3),
        "top_5_accuracy": lambda i: top_k_accuracy(calibrated[i], targets[i], 5),
        "macro_f1": lambda i: macro_f1(calibrated[i], targets[i]),
        "expected_calibration_error": lambda i: expected_calibration_error(
            calibrated[i], targets[i]
        ),
        "expected_calibration_error_before": lambda i: expected_calibration_error(
            raw[i], targets[i]
        ),
    }
    of_none: dict[str, Callable[[np.ndarray], float]] = {
        "none_auroc": lambda i: none_auroc(calibrated[i, none], targets[i] == none),
        "none_false_positive_rate_at_95_recall": lambda i: false_positive_rate_at_recall(
            calibrated[i, none], targets[i] == none
        ),
    }
    everything = np.arange(len(targets))
    unseen = np.flatnonzero(fitted.data.split.is_unseen_group[fitted.valid])
    sets = {
        "validation": (everything, figures | of_none),
        "validation, sources never seen in training": (unseen, figures | of_none),
        "validation, deities only": (np.flatnonzero(targets != none), figures),
        "validation, deities of sources never seen in training": (
            unseen[targets[unseen] != none],
            figures,
        ),
    }
    return {
        name: {
            figure: bootstrap(partial(_on, members, function), groups[members])
            for figure, function in of_set.items()
        }
        for name, (members, of_set) in sets.items()
        if len(members)
    }


def _on(members: np.ndarray, function: Callable[[np.ndarray], float], chosen: np.ndarray) -> float:
    return function(members[chosen])


def recall_per_class(fitted: Fitted) -> dict[str, Estimate]:
    """Share of each label's validation pictures with a right first guess, Wilson intervals."""
    targets = fitted.data.targets[fitted.valid]
    hits = fitted.logits.argmax(axis=1) == targets
    return {
        label: wilson_interval(int(hits[targets == i].sum()), int((targets == i).sum()))
        for i, label in enumerate(fitted.data.labels)
        if (targets == i).any()
    }
