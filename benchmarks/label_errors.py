"""Labels swapped between real pictures, and how high doubt ranks them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.imagenet_network import imagenet_network
from benchmarks.near_duplicates import plant
from data_prep.embed import embed
from data_prep.labels import LabelsSettings, judge
from data_prep.table import Table
from ideitify.bundle import read_manifest
from ideitify.dataset import DatasetError
from ideitify.hub import bundle_folder
from ideitify.settings import settings

SWAPPED = 0.05

console = Console(width=150)


def swapped(categories: np.ndarray, seed: int) -> np.ndarray:
    """Labels of which `SWAPPED` went round among pictures of different categories."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(categories))
    chosen = [order[0]]
    for place in order[1:]:
        if len(chosen) < SWAPPED * len(order) and categories[place] != categories[chosen[-1]]:
            chosen.append(place)
    while categories[chosen[0]] == categories[chosen[-1]]:
        chosen.pop()
    given = categories.copy()
    given[chosen] = np.roll(categories[chosen], 1)
    return given


def label_errors(data: Path, backbone: str | None, seeds: int) -> None:
    """Print how well doubtful labels are ranked; mean and range over seeds."""
    sheet = Sheet("label errors", "average precision", "precision of the doubted", "their recall",
                  title=f"{SWAPPED:.0%} swapped")  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        table = plant(data, Path(scratch) / "data", 0).table
        seen = embed(table)
        views: dict[str, np.ndarray | None] = {"ours, embeddings of the bundle": seen.embeddings}
        if backbone:
            views["ours, embeddings of the backbone"] = backbone_embeddings(table, backbone)
        views["cleanlab on raw pixels"] = raw_pixels(table)
        views["random order"] = None
        truth = table.rows["category"].to_numpy(dtype=object)
        every = np.ones(len(truth), bool)
        unseen = never_trained_on(data, table)
        for name, vectors in views.items():
            found = [doubts(vectors, truth, seed) for seed in range(seeds)]
            parts = {name: every}
            if vectors is seen.embeddings and unseen.any():
                parts[f"the same, {unseen.sum()} that it was not trained on"] = unseen
            for part, chosen in parts.items():
                figures = [ranking_figures(*(values[chosen] for values in one)) for one in found]
                columns = zip(*figures, strict=True)
                sheet.add_row(part, *(mean_and_range(column) for column in columns))
    console.print(sheet)
    console.print("aim: average precision of 0.6 or more; pictures not judged rank last")


def doubts(
    vectors: np.ndarray | None, truth: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which labels are wrong, bool (n,); how doubtful each is, float (n,); which are doubted."""
    given = swapped(truth, seed)
    if vectors is None:
        doubt = np.random.default_rng(seed).random(len(truth))
        return given != truth, doubt, doubt > 0.9
    alone = pd.Series(np.arange(len(truth)).astype(str))
    judged = judge(vectors, given, alone, LabelsSettings())
    return given != truth, -np.nan_to_num(judged.scores, nan=1.0), judged.issues


def ranking_figures(
    wrong: np.ndarray, doubt: np.ndarray, doubted: np.ndarray
) -> tuple[float, float, float]:
    """Average precision of the order; precision and recall of the doubted."""
    from sklearn.metrics import average_precision_score

    right = (doubted & wrong).sum()
    average_precision = float(average_precision_score(wrong, doubt))
    return average_precision, right / max(1, doubted.sum()), right / wrong.sum()


def never_trained_on(data: Path, table: Table) -> np.ndarray:
    """bool (rows,): the bundle's validation side, where the data set is the one it was made of."""
    from training.sides import choose_side

    manifest = read_manifest(bundle_folder(settings().bundle))
    try:
        chosen = choose_side(data, manifest, "valid")
    except DatasetError as error:
        console.print(f"which pictures the bundle was trained on cannot be told: {error}")
        return np.zeros(len(table.rows), bool)
    names = {picture.path.name for picture in chosen.pictures}
    return np.array([Path(str(name)).name in names for name in table.rows.index])


def mean_and_range(values: tuple[float, ...]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def backbone_embeddings(table: Table, backbone: str) -> np.ndarray:
    """float32 (n, d), unit length, of a network that never saw a label of these pictures."""
    import torch

    model, transform = imagenet_network(backbone)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(table.rows), 32):
            images = [Image.open(table.path(n)) for n in table.rows.index[start : start + 32]]
            batch = torch.stack([transform(image) for image in images])
            rows.append((model(batch) + model(batch.flip(3))).numpy())
    vectors = np.concatenate(rows)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def raw_pixels(table: Table) -> np.ndarray:
    """Small pictures as vectors, float32 (n, 768), unit length."""
    rows = []
    for name in table.rows.index:
        with Image.open(table.path(name)) as image:
            small = image.convert("RGB").resize((16, 16), Image.Resampling.BOX)
        rows.append(np.asarray(small, np.float32).ravel())
    pixels = np.stack(rows)
    pixels -= pixels.mean(axis=0)
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
