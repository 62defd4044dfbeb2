"""Temperature and thresholds do what the bundle says of them."""

import numpy as np
import pytest

from ideitify.circles import circles_of
from ideitify.recognizer import softmax
from training.calibrate import (
    choose_broader,
    choose_thresholds,
    cross_fitted_probabilities,
    fit_temperature,
)
from training.metrics import expected_calibration_error

LABELS = ["artemis", "ganesha", "murugan", "shiva", "zeus", "none"]


def overconfident(count: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large for targets drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, 6))
    targets = np.array([rng.choice(6, p=p) for p in softmax(logits)])
    return 3 * logits, targets


def test_the_temperature_undoes_overconfidence() -> None:
    logits, targets = overconfident()
    assert fit_temperature(logits, targets) == pytest.approx(3, rel=0.1)


def test_cross_fitted_probabilities_are_calibrated() -> None:
    logits, targets = overconfident()
    groups = np.arange(len(targets)) // 10
    before = expected_calibration_error(softmax(logits), targets)
    after = expected_calibration_error(cross_fitted_probabilities(logits, targets, groups), targets)
    assert after < 0.03 < before


def test_thresholds_meet_the_operating_point_that_they_name() -> None:
    logits, targets = overconfident(seed=1)
    probabilities, none = softmax(logits / 3), 5
    thresholds = choose_thresholds(probabilities, targets, LABELS)
    deities = probabilities[:, :none]
    best, confidence = deities.argmax(axis=1), deities.max(axis=1)
    no_deity = (probabilities[:, none] >= thresholds.none) & (probabilities[:, none] > confidence)
    named = ~no_deity & (confidence >= thresholds.deity)
    assert (best == targets)[named].mean() >= 0.799
    assert no_deity[targets != none].mean() <= 0.05
    assert no_deity[targets == none].mean() > 0
    assert named.any()


def test_a_model_that_is_never_right_names_nothing() -> None:
    probabilities = np.tile([0.6, 0.3, 0.1], (50, 1))
    thresholds = choose_thresholds(probabilities, np.full(50, 1), ["ganesha", "zeus", "none"])
    assert thresholds.deity == 1.0
    assert thresholds.broader is None


def test_a_broader_answer_is_right_as_often_as_promised() -> None:
    """Unsure between two Hindu deities: the tradition is safe to name, a Greek is not hidden."""
    rng = np.random.default_rng(0)
    unsure = np.tile([0.4, 0.4, 0.1, 0.1], (100, 1)) + rng.normal(0, 0.01, (100, 4))
    labels = ["ganesha", "shiva", "zeus", "none"]
    circles = circles_of(labels)
    threshold, share = choose_broader(unsure, np.repeat([0, 1, 2], [50, 40, 10]), circles)
    assert threshold is not None
    assert threshold < 0.8
    assert share == 1.0
    assert choose_broader(unsure, np.full(100, 2), circles) == (None, 0.0)
