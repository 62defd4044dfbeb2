"""An evaluation for people: `report.html`, `evaluation.json`, `predictions.csv`, a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from rich.table import Table

from ideitify.bundle import Estimate
from training.evaluate import Evaluation
from training.page import COLOURS, QUIET, chart, render
from training.predictions import Predictions

REPORT_NAME, FIGURES_NAME, PREDICTIONS_NAME = "report.html", "evaluation.json", "predictions.csv"
WORDS = {
    "accuracy": "top-1",
    "top_3_accuracy": "top-3",
    "top_5_accuracy": "top-5",
    "macro_f1": "macro F1",
    "expected_calibration_error": "calibration error",
    "expected_calibration_error_if_perfect": "calibration error of a perfect model",
    "none_auroc": "none AUROC",
    "none_false_positive_rate_at_95_recall": "none FPR at 95 % TPR",
    "area_under_risk_coverage": "area under risk-coverage",
    "named_rightly": "named rightly, of those named outright",
    "auroc": "AUROC",
    "false_positive_rate_at_95_recall": "FPR at 95 % TPR",
    "negative_log_likelihood": "negative log-likelihood",
    "against_one_temperature": "against one temperature",
}


def write_evaluation(evaluation: Evaluation, predictions: Predictions, out: Path) -> None:
    """Write all three files into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / FIGURES_NAME).write_text(evaluation.model_dump_json(indent=1) + "\n", encoding="utf-8")
    write_predictions(predictions, out / PREDICTIONS_NAME)
    (out / REPORT_NAME).write_text(report_page(evaluation), encoding="utf-8")


def write_predictions(predictions: Predictions, path: Path) -> None:
    """One row for each picture: truth, the five likeliest labels and their probabilities."""
    labels, probabilities = predictions.manifest.labels, predictions.probabilities
    ranks = range(1, min(5, len(labels)) + 1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        guesses = [name for rank in ranks for name in (f"guess_{rank}", f"probability_{rank}")]
        writer.writerow(["file_name", "category", "group", "right", *guesses])
        for picture, row in zip(predictions.pictures, probabilities, strict=True):
            best = np.argsort(-row, kind="stable")[: len(ranks)]
            cells = [cell for i in best for cell in (labels[i], f"{row[i]:.4f}")]
            right = int(labels[best[0]] == picture.category)
            name = picture.columns["file_name"]
            writer.writerow([name, picture.category, picture.group, right, *cells])


def report_page(evaluation: Evaluation) -> str:
    """The page: one file that fetches nothing."""
    return render(
        "evaluation.html",
        evaluation=evaluation,
        words=WORDS,
        tiles=_tiles(evaluation),
        reliability=_reliability_chart(evaluation),
        risk=_risk_chart(evaluation),
        traditions=_bars(evaluation.per_tradition),
        media=_bars(evaluation.per_medium),
        classes=sorted(evaluation.per_class.items(), key=lambda item: item[1].value),
    )


def terminal_tables(evaluation: Evaluation) -> list[Table]:
    """The figures of every set, and of the taxonomy, for a terminal."""
    tables = []
    for title, figures in (*evaluation.sets.items(), ("deities, taxonomy", evaluation.taxonomy)):
        if not figures:
            continue
        pictures = next(iter(figures.values())).pictures
        table = Table("figure", "value", "95 % interval", title=f"{title} (n = {pictures})")
        for name, figure in figures.items():
            interval = f"{figure.low:.3f} to {figure.high:.3f}"
            table.add_row(WORDS.get(name, name), f"{figure.value:.3f}", interval)
        tables.append(table)
    return tables


def _tiles(evaluation: Evaluation) -> dict[str, Estimate]:
    figures = evaluation.sets["all"]
    names = ("accuracy", "top_3_accuracy", "top_5_accuracy", "none_auroc")
    return {WORDS[name]: figures[name] for name in names if name in figures}


def _reliability_chart(evaluation: Evaluation) -> Markup:
    bins = evaluation.reliability
    accuracy = [b.accuracy for b in bins]
    figure = go.Figure([
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dot"},
                   hoverinfo="skip", showlegend=False),
        go.Scatter(
            x=[b.confidence for b in bins], y=[a.value for a in accuracy], mode="lines+markers",
            marker_color=COLOURS[0], showlegend=False,
            error_y={"type": "data", "array": [a.high - a.value for a in accuracy],
                     "arrayminus": [a.value - a.low for a in accuracy], "thickness": 1},
            customdata=[a.pictures for a in accuracy],
            hovertemplate="said %{x:.0%}, right %{y:.0%}, n = %{customdata}<extra></extra>",
        ),
    ])  # fmt: skip
    figure.update_xaxes(title="confidence", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title="right", range=[0, 1], tickformat=".0%")
    return chart(figure)


def _risk_chart(evaluation: Evaluation) -> Markup:
    coverage, risk = zip(*evaluation.risk_coverage, strict=True)
    figure = go.Figure(
        go.Scatter(
            x=coverage, y=risk, mode="lines", line={"color": COLOURS[0]},
            hovertemplate="of the surest %{x:.0%}, %{y:.1%} wrong<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="answered, the surest first", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title="wrong", rangemode="tozero", tickformat=".0%")
    return chart(figure)


def _bars(figures: dict[str, Estimate]) -> Markup | None:
    if not figures:
        return None
    ordered = sorted(figures.items(), key=lambda item: item[1].value)
    values = [e for _, e in ordered]
    figure = go.Figure(
        go.Bar(
            y=[f"{name}, n = {e.pictures}" for name, e in ordered],
            x=[e.value for e in values], orientation="h", marker_color=COLOURS[0],
            error_x={"type": "data", "array": [e.high - e.value for e in values],
                     "arrayminus": [e.value - e.low for e in values], "thickness": 1},
            hovertemplate="%{y}: %{x:.0%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title="right first guesses", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(type="category", dtick=1)
    return chart(figure, 60 + 26 * len(ordered))
