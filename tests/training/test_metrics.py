"""Figures are what their names say, on cases that can be counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score, roc_curve, top_k_accuracy_score

from training import metrics

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
TARGETS = np.array([0, 2, 2, 2])


def test_top_k_accuracy_counts_targets_among_the_k_best() -> None:
    assert metrics.top_k_accuracy(PROBABILITIES, TARGETS, 1) == 0.5
    assert metrics.top_k_accuracy(PROBABILITIES, TARGETS, 2) == 0.75
    assert metrics.top_k_accuracy(PROBABILITIES, TARGETS, 3) == 1.0


def test_what_is_not_a_number_is_never_right() -> None:
    assert metrics.top_k_accuracy(np.full((4, 3), np.nan), TARGETS, 1) == 0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_k_accuracy_agrees_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    scores, targets = rng.random((200, 12)), rng.integers(0, 12, 200)
    expected = top_k_accuracy_score(targets, scores, k=k, labels=np.arange(12))
    assert metrics.top_k_accuracy(scores, targets, k) == pytest.approx(expected)


def test_a_model_that_is_as_sure_as_it_is_right_has_no_calibration_error() -> None:
    probabilities = np.tile([0.75, 0.25], (400, 1))
    targets = np.array([0] * 300 + [1] * 100)
    assert metrics.expected_calibration_error(probabilities, targets) == pytest.approx(0, abs=1e-9)
    assert metrics.expected_calibration_error(probabilities, 1 - targets) == pytest.approx(0.5)


def test_none_auroc_is_one_when_every_none_ranks_above_every_deity() -> None:
    assert metrics.none_auroc(np.array([0.9, 0.8, 0.2]), np.array([True, True, False])) == 1.0
    assert np.isnan(metrics.none_auroc(np.array([0.9]), np.array([True])))


def test_false_positive_rate_at_recall() -> None:
    score = np.array([0.9, 0.8, 0.4, 0.6, 0.1, 0.1])
    is_none = np.array([True, True, True, False, False, False])
    rate = metrics.false_positive_rate_at_recall(score, is_none, recall=0.95)
    assert rate == pytest.approx(1 / 3)


def test_bootstrap_over_groups_is_wider_than_over_pictures() -> None:
    rng = np.random.default_rng(0)
    hits = np.repeat(rng.random(20) < 0.5, 20)  # pictures of a source are right or wrong together

    def figure(chosen: np.ndarray) -> float:
        return float(hits[chosen].mean())

    by_group = metrics.bootstrap(figure, [f"s{i // 20}" for i in range(400)])
    by_picture = metrics.bootstrap(figure, [str(i) for i in range(400)])
    assert by_group.high - by_group.low > 2 * (by_picture.high - by_picture.low)
    assert by_group.low <= by_group.value <= by_group.high
    assert by_group.pictures == 400


def test_wilson_interval_of_a_perfect_small_sample_stays_humble() -> None:
    estimate = metrics.wilson_interval(2, 2)
    assert estimate.value == 1.0
    assert estimate.low == pytest.approx(0.3424, abs=1e-3)


def test_a_perfect_model_shows_a_calibration_error_that_shrinks_with_n() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 4000)
    pairs = np.stack([confidence, 1 - confidence], axis=1)
    targets = (rng.random(4000) > confidence).astype(int)
    few = metrics.calibration_error_if_perfect(pairs[:200])
    many = metrics.calibration_error_if_perfect(pairs)
    assert 0 < many.value < few.value / 2
    assert many.low <= metrics.expected_calibration_error(pairs, targets) <= many.high


def test_risk_rises_from_the_surest_to_all() -> None:
    confidence, hits = np.array([0.5, 0.7, 0.6, 0.4]), np.array([False, True, False, True])
    risk = metrics.risk_coverage(confidence, hits)  # the surest first: right, wrong, wrong, right
    assert risk.tolist() == pytest.approx([0, 1 / 2, 2 / 3, 1 / 2])


def test_negative_log_likelihood_of_a_coin_is_log_two() -> None:
    assert metrics.negative_log_likelihood(np.full((3, 2), 0.5), np.array([0, 1, 1])) == (
        pytest.approx(np.log(2))
    )


def test_quick_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    score, is_none = rng.integers(0, 20, 300) / 20, rng.random(300) < 0.3
    assert metrics.none_auroc(score, is_none) == pytest.approx(roc_auc_score(is_none, score))
    false_rate, true_rate, _ = roc_curve(is_none, score, drop_intermediate=False)
    assert metrics.false_positive_rate_at_recall(score, is_none) == pytest.approx(
        false_rate[np.argmax(true_rate >= 0.95)]
    )
    probabilities, targets = rng.random((300, 8)), rng.integers(0, 6, 300)
    expected = f1_score(targets, probabilities.argmax(axis=1), labels=range(6), average="macro")
    assert metrics.macro_f1(probabilities, targets) == pytest.approx(expected)
