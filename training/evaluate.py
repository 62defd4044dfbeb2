"""How good a model is on pictures: figures with sample sizes and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from ideitify.bundle import Estimate
from ideitify.dataset import NONE_CATEGORY
from ideitify.knowledge import Entry, knowledge
from ideitify.recognizer import softmax
from training.calibrate import CALIBRATIONS, cross_fitted_probabilities
from training.metrics import (
    bootstrap,
    calibration_error_if_perfect,
    calibration_gap,
    false_positive_rate_at_recall,
    log_losses,
    macro_f1_of,
    none_auroc,
    risk_coverage,
    top_k_hits,
    wilson_interval,
)
from training.predictions import Predictions

if TYPE_CHECKING:  # judging a bundle needs no torch
    from training.train import Fitted

Figures = dict[str, Estimate]
BINS = 10  # of the reliability curve: fewer than for the error, so that each holds enough pictures
CALIBRATED_FROM = 100  # pictures: with fewer a calibration cannot be fitted and judged


class ReliabilityBin(BaseModel):
    """Pictures of like confidence: what was said, and how often it was right."""

    confidence: float
    accuracy: Estimate


class Evaluation(BaseModel):
    """What `evaluation.json` holds. Every estimate has its n and 95 % interval."""

    model_config = ConfigDict(extra="forbid")

    bundle: str
    data: str
    pictures: str  # which ones, and whether the bundle was made of some
    mirrored: bool  # whether logits are averaged with the mirror image
    sets: dict[str, Figures]
    other_mirroring: dict[str, Figures] | None
    per_class: Figures
    per_tradition: Figures
    taxonomy: Figures
    per_medium: Figures
    none_by_kind: dict[str, Figures]
    unknown_deities: Figures | None
    reliability: list[ReliabilityBin]
    calibrations: dict[str, Figures] | None
    risk_coverage: list[tuple[float, float]]  # coverage, error; at most 200 points
    confusions: list[tuple[str, str, int]]  # truth, guess, pictures; the most frequent 20


def measure(fitted: Fitted) -> dict[str, Figures]:
    """Every figure on sets of validation pictures: all, those of sources never seen in training,
    and the deities alone (where the many `none` pictures cannot flatter).

    `expected_calibration_error` is after temperature scaling, cross-fitted over sources;
    `expected_calibration_error_before` is without it; `expected_calibration_error_if_perfect` is
    what perfectly calibrated confidences would show on so few pictures.
    """
    targets = fitted.data.targets[fitted.valid]
    groups = np.array([fitted.data.pictures[i].group for i in fitted.valid])
    calibrated = cross_fitted_probabilities(fitted.logits, targets, groups)
    raw = softmax(fitted.logits)
    none = fitted.data.labels.index(NONE_CATEGORY)
    unseen = fitted.data.split.is_unseen_group[fitted.valid]
    sets = {
        "validation": np.ones(len(targets), bool),
        "validation, sources never seen in training": unseen,
        "validation, deities only": targets != none,
        "validation, deities of sources never seen in training": unseen & (targets != none),
    }
    measured = {}
    for name, members in sets.items():
        if not members.any():
            continue
        before = _error_of(raw[members], targets[members])
        measured[name] = figures_of(calibrated[members], targets[members], groups[members], none)
        measured[name]["expected_calibration_error_before"] = bootstrap(
            before, groups[members], is_biased=True
        )
    return measured


def figures_of(
    probabilities: np.ndarray, targets: np.ndarray, groups: np.ndarray, none: int | None
) -> Figures:
    """Accuracies, macro F1, calibration error, and where both are there `none` against deities.

    Args:
        probabilities: calibrated, (n, labels).
        targets: int (n,).
        groups: the source of each picture; intervals resample whole sources.
        none: index of the label `none`, if there is one.
    """
    guesses = probabilities.argmax(axis=1)
    figures = {
        name: _mean_of(top_k_hits(probabilities, targets, k))
        for name, k in (("accuracy", 1), ("top_3_accuracy", 3), ("top_5_accuracy", 5))
    }
    figures["macro_f1"] = lambda i: macro_f1_of(guesses[i], targets[i])
    figures["expected_calibration_error"] = _error_of(probabilities, targets)
    if none is not None and len(np.unique(targets == none)) == 2:
        is_none, score = targets == none, probabilities[:, none]
        figures["none_auroc"] = lambda i: none_auroc(score[i], is_none[i])
        figures["none_false_positive_rate_at_95_recall"] = lambda i: false_positive_rate_at_recall(
            score[i], is_none[i]
        )
    measured = {
        name: bootstrap(figure, groups, is_biased=name == "expected_calibration_error")
        for name, figure in figures.items()
    }
    measured["expected_calibration_error_if_perfect"] = calibration_error_if_perfect(probabilities)
    return measured


def _error_of(probabilities: np.ndarray, targets: np.ndarray) -> Callable[[np.ndarray], float]:
    confidence, hits = _confidence_and_hits(probabilities, targets)
    return lambda i: calibration_gap(confidence[i], hits[i])


def _confidence_and_hits(
    probabilities: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == targets


def recall_per_class(fitted: Fitted) -> Figures:
    """Share of each label's validation pictures with a right first guess, Wilson intervals."""
    targets = fitted.data.targets[fitted.valid]
    return recalls(fitted.logits, targets, fitted.data.labels)


def recalls(scores: np.ndarray, targets: np.ndarray, labels: Iterable[str]) -> Figures:
    """Share of each label's pictures with a right first guess; labels without a picture lack."""
    hits = scores.argmax(axis=1) == targets
    return {
        label: wilson_interval(int(hits[targets == i].sum()), int((targets == i).sum()))
        for i, label in enumerate(labels)
        if (targets == i).any()
    }


def evaluate(
    known: Predictions,
    unknown: Predictions | None,
    *,
    bundle: str,
    data: str,
    pictures: str,
    other: Predictions | None = None,
) -> Evaluation:
    """Judge a bundle as it ships, with its temperature.

    Args:
        known: pictures whose category is a label.
        unknown: pictures of deities that the network was not trained on.
        pictures: in words, which ones and whether they were trained on.
        other: the same pictures as `known`, with the mirror image where `known` is without.
    """
    labels, probabilities, targets = known.manifest.labels, known.probabilities, known.targets
    none = labels.index(NONE_CATEGORY) if NONE_CATEGORY in labels else None
    guesses = probabilities.argmax(axis=1)
    curve = risk_coverage(*_confidence_and_hits(probabilities, targets))
    points = np.unique(np.linspace(0, len(curve) - 1, min(200, len(curve))).astype(int))
    return Evaluation(
        bundle=bundle,
        data=data,
        pictures=pictures,
        mirrored=known.manifest.input.flip,
        sets=_sets(known, none),
        other_mirroring=_sets(other, none) if other else None,
        per_class=recalls(probabilities, targets, labels),
        per_tradition=_per(_traditions(labels)[targets], guesses == targets, known.groups),
        taxonomy=taxonomy_accuracy(known, knowledge()),
        per_medium=_per(_column(known, "medium"), guesses == targets, known.groups),
        none_by_kind=_none_by_kind(known, none),
        unknown_deities=_unknown_deities(known, unknown, none),
        reliability=reliability(probabilities, targets),
        calibrations=compare_calibrations(known, none) if len(targets) >= CALIBRATED_FROM else None,
        risk_coverage=[((int(i) + 1) / len(curve), float(curve[i])) for i in points],
        confusions=_confusions(labels, targets, guesses),
    )


def _sets(predictions: Predictions, none: int | None) -> dict[str, Figures]:
    probabilities, targets, groups = (
        predictions.probabilities, predictions.targets, predictions.groups,
    )  # fmt: skip
    sets = {"all": np.ones(len(targets), bool)}
    if none is not None and 0 < (targets != none).sum() < len(targets):
        sets["deities only"] = targets != none
    measured = {}
    for name, members in sets.items():
        p, t = probabilities[members], targets[members]
        measured[name] = figures_of(p, t, groups[members], none)
        measured[name]["area_under_risk_coverage"] = bootstrap(
            _area_of(*_confidence_and_hits(p, t)), groups[members]
        )
    if (named := _named_rightly(predictions)) is not None:
        measured["all"]["named_rightly"] = named
    return measured


def _named_rightly(predictions: Predictions) -> Estimate | None:
    """Of the pictures that the bundle names outright, the share named rightly; None of none."""
    probabilities, thresholds = predictions.probabilities, predictions.manifest.thresholds
    is_none = np.array(predictions.manifest.labels) == NONE_CATEGORY
    none, deities = probabilities[:, is_none].sum(axis=1), np.flatnonzero(~is_none)
    best = deities[probabilities[:, deities].argmax(axis=1)]
    confidence = probabilities[np.arange(len(best)), best]
    is_nobody = (none >= thresholds.none) & (none > confidence)
    named = (confidence >= thresholds.deity) & ~is_nobody
    if not named.any():
        return None
    return bootstrap(_mean_of((best == predictions.targets)[named]), predictions.groups[named])


def _area_of(confidence: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda i: float(risk_coverage(confidence[i], hits[i]).mean())


def taxonomy_accuracy(predictions: Predictions, entries: Mapping[str, Entry]) -> Figures:
    """Of deities' pictures, the share whose first guess has the right tradition, deity and form.

    A form counts as its deity: Nataraja for Shiva is the right deity and the wrong form.
    """
    labels, none = predictions.manifest.labels, NONE_CATEGORY
    deities = np.array([picture.category != none for picture in predictions.pictures])
    targets, groups = predictions.targets[deities], predictions.groups[deities]
    guesses = predictions.probabilities[deities].argmax(axis=1)
    roots = np.array([root(label, entries) for label in labels])
    kinds = {"tradition": _traditions(labels), "deity": roots, "form": np.array(labels)}
    return {
        f"right {name}": bootstrap(_mean_of(kind[guesses] == kind[targets]), groups)
        for name, kind in kinds.items()
        if len(targets)
    }


def root(slug: str, entries: Mapping[str, Entry]) -> str:
    """The deity at the end of the chain of `form_of`."""
    seen = {slug}
    while (parent := entries[slug].form_of) and parent not in seen:
        slug = parent
        seen.add(slug)
    return slug


def _traditions(labels: Iterable[str]) -> np.ndarray:
    """Tradition of each label; `none` where it has none."""
    return np.array([knowledge()[label].tradition or NONE_CATEGORY for label in labels])


def _mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda chosen: float(values[chosen].mean())


def _per(names: np.ndarray, hits: np.ndarray, groups: np.ndarray) -> Figures:
    """Share of right first guesses of the pictures of each name; those without a name lack."""
    return {
        str(name): bootstrap(_mean_of(hits[names == name]), groups[names == name])
        for name in np.unique(names)
        if name
    }


def _column(predictions: Predictions, name: str) -> np.ndarray:
    return np.array([picture.columns.get(name) or "" for picture in predictions.pictures])


def _none_by_kind(predictions: Predictions, none: int | None) -> dict[str, Figures]:
    """Every kind of hard negative against all deities."""
    kinds, targets = _column(predictions, "kind"), predictions.targets
    if none is None or not (targets != none).any():
        return {}
    measured = {}
    for kind in np.unique(kinds[targets == none]):
        members = (targets != none) | (kinds == kind)
        figures = detection(
            predictions.probabilities[members, none],
            targets[members] == none,
            predictions.groups[members],
        )
        measured[str(kind) or "kind not known"] = figures
    return measured


def _unknown_deities(
    known: Predictions, unknown: Predictions | None, none: int | None
) -> Figures | None:
    """Telling deities that were not trained from those that were, by the low confidence of the
    first trained one; a prototype would know its own pictures."""
    if unknown is None or not len(unknown.pictures):
        return None
    labels = known.manifest.labels
    trained = [i for i, label in enumerate(labels) if label not in known.manifest.prototypes]
    deities = known.of(np.isin(known.targets, [i for i in trained if i != none]))
    both = np.concatenate([deities.logits, unknown.logits])[:, trained]
    rows = softmax(both / known.manifest.temperature)
    if none is not None:
        rows = np.delete(rows, trained.index(none), axis=1)
    is_unknown = np.arange(len(both)) >= len(deities.pictures)
    groups = np.concatenate([deities.groups, unknown.groups])
    return detection(1 - rows.max(axis=1), is_unknown, groups)


def detection(
    score: np.ndarray, is_positive: np.ndarray, groups: np.ndarray, draws: int = 1000
) -> Figures:
    """AUROC and the false positive rate at 95 % recall; `pictures` counts the positives.

    Args:
        score: (n,), larger for positives.
        groups: sources, resampled whole.
    """
    positives = int(is_positive.sum())
    figures = {
        "auroc": bootstrap(lambda i: none_auroc(score[i], is_positive[i]), groups, draws),
        "false_positive_rate_at_95_recall": bootstrap(
            lambda i: false_positive_rate_at_recall(score[i], is_positive[i]), groups, draws
        ),
    }
    return {n: e.model_copy(update={"pictures": positives}) for n, e in figures.items()}


def reliability(probabilities: np.ndarray, targets: np.ndarray) -> list[ReliabilityBin]:
    """Bins of equal width in confidence, Wilson intervals; empty ones lack."""
    confidence, hits = _confidence_and_hits(probabilities, targets)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(
            confidence=float(confidence[bin_of == b].mean()),
            accuracy=wilson_interval(int(hits[bin_of == b].sum()), int((bin_of == b).sum())),
        )
        for b in np.unique(bin_of)
    ]


def compare_calibrations(predictions: Predictions, none: int | None) -> dict[str, Figures]:
    """Every calibration of `CALIBRATIONS`, cross-fitted by source on these pictures.

    `against_one_temperature` is the paired difference in negative log-likelihood: below 0 is
    better than what ships, clearly so where the interval excludes 0.
    """
    targets, groups = predictions.targets, predictions.groups
    fitted = {
        name: cross_fitted_probabilities(
            predictions.logits, targets, groups, fit=fit, none=-1 if none is None else none
        )
        for name, fit in CALIBRATIONS.items()
    }

    losses = {name: log_losses(p, targets) for name, p in fitted.items()}
    shipped = losses["one temperature"]
    return {
        name: {
            "negative_log_likelihood": bootstrap(_mean_of(losses[name]), groups),
            "against_one_temperature": bootstrap(_mean_of(losses[name] - shipped), groups),
            "expected_calibration_error": bootstrap(
                _error_of(probabilities, targets), groups, is_biased=True
            ),
            "expected_calibration_error_if_perfect": calibration_error_if_perfect(probabilities),
        }
        for name, probabilities in fitted.items()
    }


def _confusions(
    labels: list[str], targets: np.ndarray, guesses: np.ndarray
) -> list[tuple[str, str, int]]:
    wrong = targets != guesses
    pairs, counts = np.unique(
        np.stack([targets[wrong], guesses[wrong]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:20]
    return [(labels[pairs[i][0]], labels[pairs[i][1]], int(counts[i])) for i in order]
