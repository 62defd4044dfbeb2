"""Which score tells best that a photo shows none of the deities that a model was trained on.

Compared on validation pictures, for two questions: does the photo show no deity at all (category
`none`), and does it show a deity that was not trained (the small categories).

| score | from |
|---|---|
| maximum softmax | Hendrycks and Gimpel, ICLR 2017 |
| energy | Liu et al., NeurIPS 2020 |
| nearest neighbour | Sun et al., ICML 2022 |
| `none` | an explicit class, trained on hard negatives |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ideitify.bundle import Estimate, read_manifest
from ideitify.dataset import NONE_CATEGORY, DatasetError, read_dataset
from ideitify.recognizer import softmax
from training.evaluate import detection
from training.metrics import bootstrap, none_auroc
from training.predictions import Predictions, predict_pictures
from training.sides import choose_side, seen_names

NEIGHBOURS = 10  # the first neighbour alone gave 0.02 less AUROC
SHIPPED = "probability of `none`"
COMBINATION = "logistic combination"
COMBINED = (SHIPPED, "energy of deities", "nearest neighbour, deities", "maximum softmax, deities")


@dataclass(frozen=True)
class Row:
    """One score on one question.

    Attributes:
        question: what is told from the trained deities.
        against_shipped: paired difference in AUROC to the probability of `none`.
    """

    score: str
    question: str
    auroc: Estimate
    false_positive_rate: Estimate
    against_shipped: Estimate


def study(bundle: Path, folder: Path) -> list[Row]:
    """Recognise a bundle's own data set, and compare the scores on it.

    Raises:
        DatasetError: it is another data set.
        BundleError, DatasetError: see `predict_pictures`, `choose_side` and `compare_scores`.
    """
    manifest = read_manifest(bundle)
    few = set(manifest.prototypes)
    if set(seen_names(read_dataset(folder))).isdisjoint(manifest.training.get("seen", ())):
        raise DatasetError(
            f"{folder} has no picture that {bundle} says it was trained on; name the data set that "
            "it was made of, or export it again where it is of an older version"
        )
    valid = choose_side(folder, manifest, "valid")
    training = choose_side(folder, manifest, "train").pictures
    training = [p for p in training if p.category not in few]
    said = predict_pictures(bundle, [*valid.pictures, *training, *valid.unknown])
    ends = np.cumsum([len(valid.pictures), len(training), len(valid.unknown)])
    parts = np.split(np.arange(ends[-1]), ends[:-1])
    return compare_scores(*(said.of(part) for part in parts))


def table(rows: list[Row]) -> list[str]:
    """Markdown: a line for each score and question; n counts what is to be told."""
    said = [
        "| to be told from trained deities | score | AUROC | FPR at 95 % TPR | "
        f"AUROC against {SHIPPED} | n |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = " | ".join(
            f"{e.value:{sign}.3f} ({e.low:{sign}.3f} to {e.high:{sign}.3f})"
            for e, sign in (
                (row.auroc, ""), (row.false_positive_rate, ""), (row.against_shipped, "+"),
            )
        )  # fmt: skip
        said.append(f"| {row.question} | {row.score} | {cells} | {row.auroc.pictures} |")
    return said


def open_set_scores(pictures: Predictions, training: Predictions) -> dict[str, np.ndarray]:
    """Every score, float (n,), larger for photos of what was not trained.

    Args:
        training: pictures that the bundle was trained on, for the nearest neighbours.
    """
    manifest = pictures.manifest
    few = set(manifest.prototypes)
    trained = [i for i, label in enumerate(manifest.labels) if label not in few]
    none = manifest.labels.index(NONE_CATEGORY)
    deities = [i for i in trained if i != none]
    raw = softmax(pictures.logits[:, trained])
    scaled = softmax(pictures.logits[:, trained] / manifest.temperature)
    of = {i: column for column, i in enumerate(trained)}
    columns = [of[i] for i in deities]
    with_deity = training.of(np.isin(training.targets, deities))
    return {
        "maximum softmax": -raw.max(axis=1),
        "maximum softmax, temperature": -scaled.max(axis=1),
        "maximum softmax, deities": -scaled[:, columns].max(axis=1),
        "energy": -logsumexp(pictures.logits[:, trained], axis=1),
        "energy of deities": -logsumexp(pictures.logits[:, deities], axis=1),
        "nearest neighbour": neighbour_distance(pictures, training),
        "nearest neighbour, deities": neighbour_distance(pictures, with_deity),
        SHIPPED: scaled[:, of[none]],
        "logit of `none` above the best deity's": pictures.logits[:, none]
        - pictures.logits[:, deities].max(axis=1),
    }


def neighbour_distance(pictures: Predictions, known: Predictions) -> np.ndarray:
    """1 - cosine to the `NEIGHBOURS`th nearest embedding."""
    cosines = pictures.embeddings @ known.embeddings.T
    rank = min(NEIGHBOURS, cosines.shape[1])
    return 1 - np.partition(cosines, -rank, axis=1)[:, -rank]


def compare_scores(
    valid: Predictions, training: Predictions, unknown: Predictions | None, draws: int = 1000
) -> list[Row]:
    """The table of scores and questions.

    Args:
        valid: validation pictures of trained labels, `none` among them.
        training: what the bundle was trained on.
        unknown: pictures of deities that were not trained.
        draws: of the bootstrap over sources.

    Raises:
        DatasetError: there is no `none` picture, or no picture of a deity.
    """
    is_none = np.array([picture.category == NONE_CATEGORY for picture in valid.pictures])
    if is_none.all() or not is_none.any():
        raise DatasetError("open-set scores need pictures of `none` and of deities; add some")
    kinds = np.array([picture.columns.get("kind") or "" for picture in valid.pictures])
    scores = _with_combination(open_set_scores(valid, training), is_none, valid.groups)
    rows = []
    for kind in ("", *filter(None, np.unique(kinds[is_none]))):
        members = ~is_none | (kinds == kind) if kind else np.ones(len(is_none), bool)
        of_kind = {name: score[members] for name, score in scores.items()}
        question = f"`none`: {kind}" if kind else "`none`"
        rows += _rows(question, of_kind, is_none[members], valid.groups[members], draws)
    if unknown is not None and unknown.pictures:
        deities = valid.of(~is_none)
        both = Predictions(
            deities.pictures + unknown.pictures,
            deities.manifest,
            np.concatenate([deities.logits, unknown.logits]),
            np.concatenate([deities.embeddings, unknown.embeddings]),
        )
        is_unknown = np.arange(len(both.pictures)) >= len(deities.pictures)
        scores = _with_combination(open_set_scores(both, training), is_unknown, both.groups)
        rows += _rows("unknown deities", scores, is_unknown, both.groups, draws)
    return rows


def _with_combination(
    scores: dict[str, np.ndarray], is_positive: np.ndarray, groups: np.ndarray
) -> dict[str, np.ndarray]:
    return scores | {COMBINATION: combination(scores, is_positive, groups)}


def _rows(
    question: str,
    scores: dict[str, np.ndarray],
    is_positive: np.ndarray,
    groups: np.ndarray,
    draws: int,
) -> list[Row]:
    shipped = scores[SHIPPED]

    def gain(score: np.ndarray, i: np.ndarray) -> float:
        return none_auroc(score[i], is_positive[i]) - none_auroc(shipped[i], is_positive[i])

    return [
        Row(
            name,
            question,
            *detection(score, is_positive, groups, draws).values(),
            bootstrap(partial(gain, score), groups, draws),
        )
        for name, score in scores.items()
    ]


def combination(
    scores: dict[str, np.ndarray], is_positive: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Logistic regression over `COMBINED`; each picture judged by one of other sources.

    Raises:
        DatasetError: there is one source, or without some source one side is empty, so nothing can
            be fitted.
    """
    one_source = DatasetError(
        "pictures of one source cannot be cross-fitted (fitted on some sources, judged on others); "
        "add other sources"
    )
    features = np.stack([scores[name] for name in COMBINED], axis=1)
    share = np.clip(features[:, 0], 1e-6, 1 - 1e-6)
    features[:, 0] = np.log(share / (1 - share))
    joined = np.full(len(features), np.nan)
    folds = min(5, len(np.unique(groups)))
    if folds == 1:
        raise one_source
    for fitted, judged in StratifiedGroupKFold(folds).split(features, is_positive, groups):
        if len(np.unique(is_positive[fitted])) < 2:
            raise one_source
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        model.fit(features[fitted], is_positive[fitted])
        joined[judged] = model.decision_function(features[judged])
    return joined
