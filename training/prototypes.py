"""Labels known from few pictures: prototypes beside the labels that were trained.

A category too small to be trained on joins as the mean of its pictures' embeddings:

    logit = scale * cos(embedding, prototype) + bias

These are imprinted weights (Qi et al., "Low-Shot Learning with Imprinted Weights", CVPR 2018; the
idea of Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017). One scale and
one bias for all of them are chosen so that the trained labels lose almost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from sklearn.model_selection import GroupKFold
from torch import nn

from ideitify.bundle import Estimate
from ideitify.dataset import NONE_CATEGORY, Picture, read_dataset
from ideitify.knowledge import has_entry
from ideitify.recognizer import softmax
from training.calibrate import fit_temperature
from training.data import PictureDataset, decoded_pictures, valid_transform
from training.metrics import bootstrap, none_auroc, top_k_hits
from training.network import Network
from training.train import Fitted, console, predict

# share of their validation pictures that the trained labels may lose among the 1, 3 and 5 likeliest
COST = {1: 0.005, 3: 0.005, 5: 0.005}
SCALES = (8.0, 16.0, 32.0, 64.0)  # from soft to sharp; the logits of trained labels span 5 to 15
FIGURES = {1: "accuracy", 3: "top_3_accuracy", 5: "top_5_accuracy"}


@dataclass(frozen=True)
class Prototypes:
    """Further rows of the model.

    Attributes:
        labels: knowledge slugs, sorted.
        directions: float32 (k, d), of unit length.
        metrics: share of right guesses among all labels, each picture judged by prototypes made
            without its source.
        facts: how many pictures and categories, how many of them could be measured, and the cost.
        valid_logits: their logits on the validation pictures, float32 (v, k).
    """

    labels: list[str]
    directions: np.ndarray
    scale: float
    bias: float
    metrics: dict[str, Estimate]
    facts: dict[str, object]
    valid_logits: np.ndarray

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, k) for embeddings of unit length (n, d), or means of such over views."""
        return self.scale * embeddings @ self.directions.T + self.bias


@dataclass(frozen=True)
class Answers:
    """What a network says of pictures: `logits` (n, labels), `embeddings` (n, d), over views."""

    logits: np.ndarray
    embeddings: np.ndarray


def find_prototypes(fitted: Fitted) -> Prototypes | None:
    """Prototypes of the categories that the network was not trained on, or None.

    None where there are none, where the settings say so, or where under the allowed `COST` no
    picture of them would be answered.

    Raises:
        DatasetError: a picture cannot be read; it is named.
    """
    few = small_categories(fitted) if fitted.settings.prototypes else []
    if not few:
        return None
    with console.status(f"prototypes from {len(few)} pictures of small categories"):
        labels, targets = np.unique([picture.category for picture in few], return_inverse=True)
        sources = np.array([picture.group for picture in few])
        cache = Path(str(fitted.data.pixels.filename)).parent  # type: ignore[attr-defined]
        pixels = decoded_pictures(few, fitted.settings.resize, cache)
        answers = _answers(fitted, pixels, np.arange(len(few)))
        valid = _answers(fitted, fitted.data.pixels, fitted.valid)
    directions = class_means(answers.embeddings, targets, len(labels))
    directions = directions.astype(np.float16).astype(np.float32)  # as the bundle stores them
    judged, cosines = leave_one_source_out(answers.embeddings, targets, sources)
    known = fitted.data.targets[fitted.valid]
    none = fitted.data.labels.index(NONE_CATEGORY)
    valid_cosines = valid.embeddings @ directions.T

    biases = [choose_bias(fitted.logits, s * valid_cosines, known, none) for s in SCALES]
    trained = len(fitted.data.labels)
    hits = np.stack([
        ranks_hit(_joined(answers.logits[judged], s * cosines + b), trained + targets[judged])
        for s, b in zip(SCALES, biases, strict=True)
    ])  # fmt: skip
    if not hits.any():
        console.print("no prototype would be answered at the allowed cost: they are left out")
        return None
    best = best_scale(hits)
    valid_logits = SCALES[best] * valid_cosines + biases[best]
    before, after = (
        ranks_hit(fitted.logits, known),
        ranks_hit(_joined(fitted.logits, valid_logits), known),
    )
    cost = (before.astype(float) - after)[known != none].mean(axis=0)
    return Prototypes(
        labels=labels.tolist(),
        directions=directions,
        scale=SCALES[best],
        bias=round(biases[best], 4),
        metrics=_measured(hits, sources[judged]),
        facts={
            "categories": len(labels),
            "pictures": len(few),
            "measured_categories": len(np.unique(targets[judged])),
            "measured_pictures": len(judged),
            "scale": SCALES[best],
            "bias": round(biases[best], 4),
            "cost": {
                FIGURES[rank]: round(float(share), 4)
                for rank, share in zip(COST, cost, strict=True)
            },
        },
        valid_logits=valid_logits,
    )


def small_categories(fitted: Fitted) -> list[Picture]:
    """Pictures of the dataset's categories that the network has no label for.

    A category without a knowledge entry is left out, with a line that says so.
    """
    first = fitted.data.real[0]
    folder = first.path.parents[len(PurePosixPath(first.columns["file_name"]).parts) - 1]
    others = [p for p in read_dataset(folder) if p.category not in set(fitted.data.labels)]
    others = [p for p in others if p.category != NONE_CATEGORY]
    without = sorted({p.category for p in others if not has_entry(p.category)})
    if without:
        console.print(f"no knowledge entry, so no prototype: {', '.join(without)}")
    return [picture for picture in others if picture.category not in without]


class WithEmbedding(nn.Module):
    """Photos -> logits and the embedding of unit length side by side, (n, labels + d)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        features = self.network.feature_map(photos).mean((2, 3))
        logits = self.network.head(features)
        return torch.cat([logits, nn.functional.normalize(features, dim=1)], dim=1)


def _answers(fitted: Fitted, pixels: np.ndarray, chosen: np.ndarray) -> Answers:
    look = valid_transform(fitted.settings.valid_size, fitted.backbone.mean, fitted.backbone.std)
    dataset = PictureDataset(pixels, chosen, np.zeros(len(pixels), int), look)
    both = predict(WithEmbedding(fitted.network), dataset, fitted.settings.flip)
    return Answers(*np.split(both, [len(fitted.data.labels)], axis=1))


def class_means(embeddings: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    """Mean embedding of each class, of unit length, float32 (count, d); zero without a picture."""
    sums = np.zeros((count, embeddings.shape[1]), np.float32)
    np.add.at(sums, targets, embeddings)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def leave_one_source_out(
    embeddings: np.ndarray, targets: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare every picture with prototypes made without its source, as if it came from a new one.

    Returns:
        int (m,): the pictures whose class has a picture from another source; the others cannot be
        judged. float (m, classes): their cosines; -1 for a class that has no other source.
    """
    count = int(targets.max()) + 1
    judged, cosines = [], []
    for source in np.unique(sources):
        inside, outside = np.flatnonzero(sources == source), sources != source
        remaining = np.bincount(targets[outside], minlength=count) > 0
        members = inside[remaining[targets[inside]]]
        means = class_means(embeddings[outside], targets[outside], count)
        judged.append(members)
        cosines.append(np.where(remaining, embeddings[members] @ means.T, -1))
    return np.concatenate(judged), np.concatenate(cosines)


def choose_bias(logits: np.ndarray, rows: np.ndarray, targets: np.ndarray, none: int) -> float:
    """The largest bias of the rows at which the trained labels lose at most `COST`.

    That holds for deities and for `none` apart, and the area under the ROC curve of `none` stays
    what it was, to three decimals.

    Args:
        logits: of trained labels, (n, labels), on validation pictures.
        rows: of prototypes without a bias, (n, k).
    """
    deities, temperature = targets != none, fit_temperature(logits, targets)

    def figures(every: np.ndarray) -> np.ndarray:
        hits = ranks_hit(every, targets)
        probability = softmax(every / temperature)[:, none]
        shares = [hits[side].mean(axis=0) for side in (deities, ~deities) if side.any()]
        return np.append(np.ravel(shares), round(none_auroc(probability, ~deities), 3))

    allowed = figures(logits)
    allowed[:-1] -= np.resize(list(COST.values()), len(allowed) - 1)
    # a row overtakes a picture's own label at this bias: between two of them nothing changes much
    overtaking = np.sort(logits[np.arange(len(targets)), targets] - rows.max(axis=1))[::-1]
    low, high = 0, len(overtaking) - 1
    while low < high:  # figures fall as the bias rises, but for small waves of the last one
        middle = (low + high) // 2
        fits = np.nan_to_num(figures(_joined(logits, rows + overtaking[middle] - 1e-4)), nan=1.0)
        low, high = (low, middle) if (fits >= np.nan_to_num(allowed)).all() else (middle + 1, high)
    return float(overtaking[low] - 1e-4)


def ranks_hit(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """bool (n, 3): the target is among the 1, 3, 5 likeliest."""
    return np.stack([top_k_hits(logits, targets, rank) for rank in COST], axis=1)


def best_scale(hits: np.ndarray) -> int:
    """Which scale answers most pictures, over all ranks; `hits`: bool (scales, m, ranks)."""
    return int(hits.sum(axis=(1, 2)).argmax())


def _measured(hits: np.ndarray, sources: np.ndarray) -> dict[str, Estimate]:
    """Figures, each picture with the scale that is best for the pictures of other sources."""
    fair = np.empty(hits.shape[1:], bool)
    folds = min(5, len(np.unique(sources)))
    if folds < 2:
        fair = hits[best_scale(hits)]
    else:
        for others, judged in GroupKFold(folds).split(hits[0], groups=sources):
            fair[judged] = hits[best_scale(hits[:, others]), judged]
    return {
        FIGURES[rank]: bootstrap(lambda i, r=r: float(fair[i, r].mean()), sources)
        for r, rank in enumerate(COST)
    }


def _joined(logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([logits, rows], axis=1)
