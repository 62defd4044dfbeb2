"""Temperature and thresholds do what the bundle says of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ideitify.circles import broader, circles_of
from ideitify.recognizer import softmax
from training.calibrate import (
    CALIBRATIONS,
    choose_broader,
    choose_deity,
    choose_thresholds,
    cross_fitted_probabilities,
    fit_temperature,
)
from training.metrics import expected_calibration_error, negative_log_likelihood

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
    assert (best == targets)[named].mean() >= 0.8
    assert no_deity[targets != none].mean() <= 0.05
    assert no_deity[targets == none].mean() > 0
    assert named.any()


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=60))
def test_names_above_the_threshold_are_right_as_often_as_promised(answers: list) -> None:
    confidence = np.array([value / 60 for value, _ in answers])
    is_right = np.array([right for _, right in answers])
    threshold = choose_deity(confidence, is_right)
    if (named := confidence >= threshold).any() and threshold < 1:
        assert is_right[named].mean() >= 0.8
    for lower in confidence[confidence < threshold]:  # no lower one would keep the promise
        assert is_right[confidence >= lower].mean() < 0.8


def test_the_photo_with_which_the_promise_is_just_kept_is_named() -> None:
    confidence = np.array([0.99, 0.9, 0.8, 0.7, 0.55555])
    assert choose_deity(confidence, np.array([True, True, True, False, True])) == 0.5555


def test_a_model_that_is_never_right_names_nothing() -> None:
    probabilities = np.tile([0.6, 0.3, 0.1], (50, 1))
    thresholds = choose_thresholds(probabilities, np.full(50, 1), ["ganesha", "zeus", "none"])
    assert thresholds.deity == 1.0
    assert thresholds.broader is None
    unwritten = choose_thresholds(probabilities, np.full(50, 1), ["no-entry-yet", "zeus", "none"])
    assert unwritten.broader is None


def test_a_broader_answer_is_right_as_often_as_promised() -> None:
    """Unsure between two Hindu deities, and one in ten is a Greek one."""
    rng = np.random.default_rng(0)
    unsure = np.tile([0.4, 0.4, 0.1, 0.1], (100, 1)) + rng.normal(0, 0.01, (100, 4))
    labels = ["ganesha", "shiva", "zeus", "none"]
    circles = circles_of(labels)
    threshold, share = choose_broader(unsure, np.repeat([0, 1, 2], [50, 40, 10]), circles)
    assert threshold is not None
    assert threshold < 0.8
    assert share == 1.0
    assert choose_broader(unsure, np.full(100, 2), circles) == (None, 0.0)


def test_the_broader_threshold_is_what_the_recogniser_makes_of_it() -> None:
    logits, targets = overconfident(200, seed=3)
    probabilities, circles = softmax(logits / 6), circles_of(LABELS)
    threshold, share = choose_broader(probabilities, targets, circles)
    members = {(c.kind, c.name): c.members for c in circles}
    answers = [broader(row, circles, threshold) for row in probabilities]
    right = [t in members[a.kind, a.name] for a, t in zip(answers, targets, strict=True) if a]
    assert share == len(right) / 200
    assert np.mean(right) >= 0.8


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibrations_help_logits_that_are_too_large(name: str) -> None:
    logits, targets = overconfident(600, seed=2)
    groups = np.arange(len(targets)) // 10
    fit = CALIBRATIONS[name]
    probabilities = cross_fitted_probabilities(logits, targets, groups, fit=fit, none=5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    before = negative_log_likelihood(softmax(logits), targets)
    after = negative_log_likelihood(probabilities, targets)
    assert after == pytest.approx(before) if name == "none" else after < before - 0.3


def test_a_shift_of_none_is_found() -> None:
    logits, targets = overconfident(3000)
    shifted = logits.copy()
    shifted[:, 5] += 2
    scale, shift = CALIBRATIONS["temperature and a shift of `none`"](shifted, targets, 5)
    assert scale == pytest.approx(1 / 3, rel=0.1)
    assert shift[5] == pytest.approx(-2 / 3, abs=0.15)
    assert not shift[:5].any()
