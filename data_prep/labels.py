"""Find labels that are likely wrong: light classifiers on embeddings, out of fold, disagree.

Columns: `label_score`, 0..1, low where the label is doubtful; `is_label_issue`; and
`suggested_category`, what the picture looks like instead. Doubtful ones go to review, the most
doubtful first when sorted by score. Categories with too few pictures to learn from are not judged,
nor those whose pictures are all of one group: nothing else could vouch for them.

The score is cleanlab's (Northcutt, Jiang and Chuang, "Confident Learning", 2021). What the bundle
learnt it learnt from earlier labels: an error that it was trained on looks less doubtful.

Two classifiers, as they err differently: a logistic regression sees what sets a category apart,
the nearest neighbours see small clusters. Their mean ranks planted errors better than either.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from data_prep.embed import embed
from data_prep.table import Table, column_of, own_where_empty
from data_prep.workers import Where

VERSION = 2  # small categories and small data sets

logger = logging.getLogger(__name__)


class LabelsSettings(BaseModel):
    """How the labels are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: int = Field(5, ge=2, description="of the cross-validation; 10 rank no better")
    least_pictures: int = Field(
        5, ge=2, description="of a category, to be judged: fewer leave a fold without one"
    )
    inverse_penalty: float = Field(
        30.0,
        gt=0,
        description="C of the logistic regression: 10 to 100 rank planted errors alike, 1 worse",
    )
    neighbours: int = Field(15, ge=1, description="asked for each: 5 to 30 rank alike")
    seed: int = Field(0, description="of the folds")


@dataclass(frozen=True)
class Judged:
    """What the classifier makes of n pictures.

    Attributes:
        scores: float (n,), 0..1, low where the label is doubtful; NaN where it was not judged.
        issues: bool (n,), doubtful enough to be looked at.
        suggested: what each looks like most; "" where it was not judged.
    """

    scores: np.ndarray = field(repr=False)
    issues: np.ndarray = field(repr=False)
    suggested: np.ndarray = field(repr=False)


def labels(
    table: Table, settings: LabelsSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Score the label of every picture that is not rejected; doubtful ones go to review.

    Raises:
        BundleError: the bundle cannot be used.
        OSError: the cache in `.data_prep` cannot be written.
    """
    standing = Table(table.folder, table.having())
    seen = embed(standing, bundle, **where)
    rows = standing.rows[seen.known]
    groups = own_where_empty(column_of(rows, "duplicate_group"))
    judged = judge(seen.embeddings[seen.known], rows["category"].to_numpy(), groups, settings)
    table.rows[["label_score", "is_label_issue", "suggested_category"]] = ""
    found = pd.DataFrame(
        {
            "label_score": [f"{score:.4f}" if score == score else "" for score in judged.scores],
            "is_label_issue": np.where(judged.issues, "true", "false"),
            "suggested_category": judged.suggested,
        },
        index=rows.index,
        dtype=str,
    )
    table.rows.loc[rows.index, found.columns] = found
    doubtful = found.loc[judged.issues, "suggested_category"]
    table.doubt_all({str(n): f"label may be wrong: looks like {s}" for n, s in doubtful.items()})
    judgeable = int((~np.isnan(judged.scores)).sum())
    message = "%d of %d labels are doubtful; %d pictures are of categories too small to judge"
    logger.info(message, judged.issues.sum(), judgeable, len(rows) - judgeable)
    return table


def judge(
    embeddings: np.ndarray, categories: np.ndarray, groups: pd.Series[str], settings: LabelsSettings
) -> Judged:
    """Judge every label by pictures of other groups.

    Args:
        embeddings: float32 (n, d), unit length.
        categories: (n,), the labels.
        groups: (n,), pictures of one group never vouch for each other.
    """
    often = _judgeable(categories, groups.to_numpy(), settings.least_pictures)
    scores, issues = np.full(len(categories), np.nan), np.zeros(len(categories), bool)
    suggested = np.full(len(categories), "", dtype=object)
    codes, known = pd.factorize(categories[often], sort=True)
    if len(known) < 2:
        return Judged(scores, issues, suggested)
    probabilities = out_of_fold(embeddings[often], codes, groups.to_numpy()[often], settings)
    scores[often] = get_label_quality_scores(codes, probabilities, method="normalized_margin")
    likeliest = probabilities.argmax(axis=1)
    doubtful = find_label_issues(codes, probabilities, filter_by="both", n_jobs=1)
    issues[often] = doubtful & (likeliest != codes)
    suggested[often] = known[likeliest]
    return Judged(scores, issues, suggested)


def _judgeable(categories: np.ndarray, groups: np.ndarray, least: int) -> np.ndarray:
    """bool (n,): pictures of categories with at least so many of them, in two groups or more."""
    of_category = pd.Series(groups).groupby(categories)
    often = (of_category.transform("size") >= least) & (of_category.transform("nunique") > 1)
    return often.to_numpy()


def out_of_fold(
    embeddings: np.ndarray, codes: np.ndarray, groups: np.ndarray, settings: LabelsSettings
) -> np.ndarray:
    """Probabilities (n, classes) from classifiers that did not see the picture or its group.

    Args:
        codes: int (n,), the classes; each is in two groups or more.
    """
    splits = _splits(codes, groups, settings)
    neighbours = min(settings.neighbours, *(len(learnt) for learnt, _ in splits))
    regression = LogisticRegression(
        C=settings.inverse_penalty, class_weight="balanced", max_iter=300
    )
    nearest = KNeighborsClassifier(neighbours, weights="distance", metric="cosine")
    both = VotingClassifier([("regression", regression), ("nearest", nearest)], voting="soft")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that a fold lacks has probability 0 there
        return cross_val_predict(both, embeddings, codes, cv=splits, method="predict_proba")


def _splits(
    codes: np.ndarray, groups: np.ndarray, settings: LabelsSettings
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(to learn from, to judge), rows of each fold; fewer folds where there is little to divide."""
    count = min(settings.folds, len(np.unique(groups)), np.bincount(codes).max())
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=settings.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer pictures than folds
        splits = list(folds.split(codes, codes, groups))
    if all(len(np.unique(codes[learnt])) > 1 for learnt, _ in splits):
        return splits
    return list(LeaveOneGroupOut().split(codes, codes, groups))  # leaves of each class a group
