"""What the folds of a cross-validation say together: `crossvalidation.json` and one page."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from sklearn.metrics import precision_recall_fscore_support

from ideitify.dataset import NONE_CATEGORY
from ideitify.recognizer import softmax
from training.crossvalidate import LOGITS_NAME, PLAN_NAME, PREDICTIONS_NAME, fold_folders
from training.metrics import bootstrap, macro_f1, top_k_accuracy, wilson_interval
from training.page import COLOURS, chart, render
from training.record import read_record, tempered_loss, write_json

SUMMARY_NAME, REPORT_NAME = "crossvalidation.json", "report.html"
TOP_K = {"accuracy": 1, "top_3_accuracy": 3, "top_5_accuracy": 5}
SHARES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    **{name: partial(top_k_accuracy, k=k) for name, k in TOP_K.items()},
    "macro_f1": macro_f1,
}
WORDS = {
    "accuracy": "top-1", "top_3_accuracy": "top-3", "top_5_accuracy": "top-5",
    "macro_f1": "macro F1", "negative_log_likelihood": "negative log-likelihood",
    "valid_loss": "validation loss",
}  # fmt: skip
CURVES = {
    "Loss": ("train_loss", "valid_loss"),
    "Negative log-likelihood, validation": ("negative_log_likelihood",),
    "Right answers, validation": ("accuracy", "top_3_accuracy", "top_5_accuracy"),
    "Macro F1, validation": ("macro_f1",),
}


def report(out: Path) -> dict[str, Any]:
    """Write the summary and the page of a finished cross-validation, from its files alone.

    Returns:
        What `crossvalidation.json` holds: mean and standard deviation over the folds; figures of
        all pictures together with intervals; a row for each fold and for each class.
    """
    plan = json.loads((out / PLAN_NAME).read_text(encoding="utf-8"))
    labels, folds = plan["labels"], fold_folders(out, plan["folds"])
    tables = [_table(fold) for fold in folds]
    rows = [row for table in tables for row in table]
    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index[row["truth"]] for row in rows])
    logits = np.concatenate([np.load(fold / LOGITS_NAME) for fold in folds])
    probabilities = softmax(logits)
    fold_of = np.repeat(np.arange(len(folds)), [len(table) for table in tables])

    per_fold = [
        {
            "name": fold.name,
            "pictures": int((fold_of == number).sum()),
            "epochs": len(read_record(fold)["epochs"]),
            **_figures(logits[fold_of == number], targets[fold_of == number]),
        }
        for number, fold in enumerate(folds)
    ]
    per_class = _per_class(probabilities.argmax(axis=1), targets, fold_of, labels)
    for label, row in per_class.items():
        row["split_by_near_duplicates"] = label in plan["split_by_near_duplicates"]
    summary = {
        "plan": plan,
        "pictures": len(rows),
        "mean": {
            name: _spread([fold[name] for fold in per_fold])
            for name in (*SHARES, "negative_log_likelihood")
        },
        "pooled": _pooled(probabilities, targets, rows, index.get(NONE_CATEGORY, -1)),
        "folds": per_fold,
        "per_class": per_class,
    }
    write_json(out / SUMMARY_NAME, summary)
    page = render(
        "folds.html", **summary, shares=[*SHARES], tops=[*TOP_K], words=WORDS, curves=_curves(folds)
    )
    (out / REPORT_NAME).write_text(page, encoding="utf-8")
    return summary


def _table(fold: Path) -> list[dict[str, str]]:
    with (fold / PREDICTIONS_NAME).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _figures(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Figures of one fold, defined as those of every epoch are."""
    probabilities = softmax(logits)
    return {
        **{name: float(figure(probabilities, targets)) for name, figure in SHARES.items()},
        "negative_log_likelihood": tempered_loss(logits, targets),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": sd}


def _pooled(
    probabilities: np.ndarray, targets: np.ndarray, rows: list[dict[str, str]], none: int
) -> dict[str, dict[str, Any]]:
    """Top-k on all pictures, on those of unseen sources, and on those with a deity.

    Macro F1 is left to the folds: a resample of sources can lose a class altogether.
    """
    groups = np.array([row["source"] for row in rows])
    unseen = np.array([row["unseen_source"] == "1" for row in rows])
    sets = {
        "all": np.ones(len(rows), bool),
        "sources never seen in training": unseen,
        "deities only": targets != none,
        "deities of sources never seen in training": unseen & (targets != none),
    }

    def on(name: str, chosen: np.ndarray) -> dict[str, float]:
        shares, truths = probabilities[chosen], targets[chosen]
        estimate = bootstrap(lambda i: SHARES[name](shares[i], truths[i]), groups[chosen])
        return estimate.model_dump(mode="json")

    return {
        pictures: {name: on(name, np.flatnonzero(chosen)) for name in TOP_K}
        for pictures, chosen in sets.items()
        if chosen.any()
    }


def _per_class(
    guesses: np.ndarray, targets: np.ndarray, fold_of: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """A row for each class, worst recall first."""
    precision, _, f1, _ = precision_recall_fscore_support(
        targets, guesses, labels=list(range(len(labels))), zero_division=0
    )
    table = {}
    for number, label in enumerate(labels):
        hits = guesses[targets == number] == number
        if not len(hits):
            continue
        of_fold = fold_of[targets == number]
        wrong = Counter(guesses[(targets == number) & (guesses != number)].tolist())
        table[label] = {
            "recall": wilson_interval(int(hits.sum()), len(hits)).model_dump(mode="json"),
            "recall_over_folds": _spread([hits[of_fold == f].mean() for f in np.unique(of_fold)]),
            "precision": float(precision[number]),
            "f1": float(f1[number]),
            "taken_for": labels[wrong.most_common(1)[0][0]] if wrong else None,
        }
    return dict(sorted(table.items(), key=lambda item: item[1]["recall"]["value"]))


def _curves(folds: Sequence[Path]) -> dict[str, Any]:
    """Charts of the mean over the folds with a band of one standard deviation."""
    histories = [read_record(fold)["epochs"] for fold in folds]
    charts = {}
    for title, names in CURVES.items():
        figure = go.Figure()
        for name, colour in zip(names, COLOURS, strict=False):
            _add_band(figure, histories, name, colour)
        figure.update_xaxes(title="epoch", dtick=1 if max(map(len, histories)) < 15 else None)
        figure.update_layout(showlegend=len(names) > 1)
        charts[title] = chart(figure)
    return charts


def _add_band(figure: go.Figure, histories: list[list[dict]], name: str, colour: str) -> None:
    epochs = list(range(1, max(map(len, histories)) + 1))
    values = [[h[e - 1][name] for h in histories if len(h) >= e] for e in epochs]
    mean, sd = (np.array([_spread(v)[what] for v in values]) for what in ("mean", "sd"))
    figure.add_scatter(
        x=epochs + epochs[::-1], y=[*(mean + sd), *(mean - sd)[::-1]], mode="lines",
        fill="toself", fillcolor=colour, opacity=0.2, line_width=0, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=epochs, y=mean, name=WORDS.get(name, name.replace("_", " ")), mode="lines+markers",
        line_color=colour, hovertemplate="epoch %{x}: %{y:.3f}",
    )  # fmt: skip
